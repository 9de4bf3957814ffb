#include "core/train/resume.h"

#include "core/data/fingerprint.h"
#include "core/error.h"

namespace veomni {

namespace {

/// `recipe` without keys that older checkpoints' recipes lack, where they hold what those meant.
Json without_later_keys(Json recipe) {
  const Json::json_pointer at("/model/base");
  if (!recipe.contains(at)) return recipe;
  Json& base = recipe.at(at);
  if (base.value("router_bias_update_rate", 0.0) == 0) base.erase("router_bias_update_rate");
  if (!base.value("router_force_balance", false)) base.erase("router_force_balance");
  return recipe;
}

/// `recipe` without the paths of its data files.
Json without_paths(Json recipe) {
  for (auto& source : recipe.at("data").at("sources")) {
    source.erase("path");
    source.erase("labels");
  }
  return recipe;
}

void check_files(const Recipe& recipe, const Checkpoint& checkpoint) {
  const auto& before = checkpoint.state().at("files");
  const auto now = data_fingerprint(recipe);
  for (const auto& [source, files] : now.items()) {
    require<ConfigError>(
        before.contains(source) && before.at(source) == files,
        "{}: the files of data.sources.{} hold other data than this checkpoint was "
        "trained on; give it the files it had, or train anew into another output",
        checkpoint.directory().string(), source);
  }
}

/// What was frozen has no optimizer state to go on with: training it would differ from a run that always did.
void check_frozen(const Recipe& recipe, const Checkpoint& checkpoint) {
  const auto& optimizer = recipe.train.optimizer;
  if (optimizer.type == "sgd" && optimizer.momentum == 0) return;
  const Json& train = checkpoint.state().at("recipe").at("train");
  const auto before = read_groups(train.value("groups", Json::array()));
  for (const auto& name : checkpoint.names()) {
    if (name.starts_with("optimizer.") || name.starts_with("buffer.")) continue;
    require<ConfigError>(
        !is_frozen(before, name) || is_frozen(recipe.train.groups, name),
        "{}: train.groups: '{}' is frozen in this checkpoint, which has no optimizer state for it; "
        "keep it frozen, or train anew into another output",
        checkpoint.directory().string(), name);
  }
}

}  // namespace

void check_resume(const Recipe& recipe, const Checkpoint& checkpoint) {
  const bool knows_files = checkpoint.state().contains("files");
  const auto comparable = [&](const Json& resolved) {
    const Json known = without_later_keys(resolved);
    return knows_files ? without_paths(known) : known;
  };
  const Json before = comparable(checkpoint.state().at("recipe"));
  const Json after = comparable(recipe.resolved);
  const auto same = [&](const char* pointer) {
    const Json::json_pointer path(pointer);
    const Json was = before.contains(path) ? before.at(path) : Json(nullptr);
    const Json is = after.contains(path) ? after.at(path) : Json(nullptr);
    require<ConfigError>(was == is,
                         "{}: {} differs from the recipe of this checkpoint ({} then, {} now); "
                         "put it back, or train anew into another output",
                         checkpoint.directory().string(), std::string(pointer).substr(1),
                         was.dump().substr(0, 60), is.dump().substr(0, 60));
  };
  for (const char* key : {"/seed", "/model", "/tokenizer", "/data", "/train/packs",
                          "/train/pack_tokens", "/train/optimizer/type"}) {
    same(key);
  }
  check_frozen(recipe, checkpoint);
  if (knows_files) check_files(recipe, checkpoint);
}

}  // namespace veomni
