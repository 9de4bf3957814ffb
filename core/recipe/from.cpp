// model.from: the base model as a Hugging Face directory's config.json describes it.
#include <algorithm>
#include <filesystem>
#include <set>

#include "core/error.h"
#include "core/hugging_face/config.h"
#include "core/recipe/checks.h"

namespace veomni {

namespace {

/// What may differ from the directory: it changes training, not what the weights mean.
const std::set<std::string> kFree = {"router_aux_loss_coef", "router_z_loss_coef", "balance",
                                     "initializer_range"};

/// What samples hold of text: ids as they are, or text to encode. The recipe has not been checked yet.
struct TextUse {
  bool ids = false, text = false;
};

TextUse text_use(const Json& recipe) {
  TextUse use;
  const auto sources = Json::json_pointer("/data/sources");
  if (!recipe.contains(sources) || !recipe.at(sources).is_array()) return use;
  for (const Json& source : recipe.at(sources)) {
    if (!source.is_object()) continue;
    const bool ids = source.value("format", Json(nullptr)) == "tokens";
    const Json sample = source.value("sample", Json(nullptr));
    const bool text =
        sample.is_array() && std::any_of(sample.begin(), sample.end(), [](const Json& s) {
          return s.is_object() && s.value("part", Json(nullptr)) == "text";
        });
    (ids ? use.ids : use.text) |= ids || text;
  }
  return use;
}

/// The directory's own tokenizer, where the recipe has text to encode and names none.
void apply_tokenizer(Json& recipe, const std::filesystem::path& directory) {
  for (const char* name : {"tokenizer.json", "tokenizer.json.gz", "tokenizer.model"}) {
    if (!std::filesystem::is_regular_file(directory / name)) continue;
    recipe["tokenizer"] = (directory / name).string();
    return;
  }
}

}  // namespace

void apply_from(Json& recipe, const Document& document, const std::string& recipe_path) {
  if (!recipe.is_object() || !recipe.contains("model") || !recipe["model"].is_object()) return;
  Json& model = recipe["model"];
  if (!model.contains("from")) return;
  if (!model["from"].is_string())
    document.fail_value({"model", "from"}, "must be the path of a model directory");
  const auto folder = std::filesystem::path(recipe_path).parent_path();
  const auto directory = (folder / model["from"].get<std::string>()).lexically_normal();
  const Json given =
      model.contains("base") && model["base"].is_object() ? model["base"] : Json::object();
  // A run's own recipe holds the whole base; going on with the run does not need the directory.
  if (given.contains("hidden_size") && !std::filesystem::exists(directory / "config.json")) return;
  Json base = read_hugging_face_config(directory);
  const TextUse use = text_use(recipe);
  if (use.text && !recipe.contains("tokenizer")) apply_tokenizer(recipe, directory);
  if (!use.ids && !recipe.contains("tokenizer"))
    base.erase("vocab_size");  // such a model has no token embedding
  for (const auto& [key, value] : given.items()) {
    if (base.contains(key) && base[key] != value && !kFree.contains(key))
      document.fail_value(
          {"model", "base", key},
          fmt::format("{}, but the weights of model.from are made for {}; leave it out",
                      json_excerpt(value), json_excerpt(base[key])));
    base[key] = value;
  }
  model["from"] = directory.string();
  model["base"] = std::move(base);
}

}  // namespace veomni
