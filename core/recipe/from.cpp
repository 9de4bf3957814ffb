// model.from: the base model as a Hugging Face directory's config.json describes it.
#include <filesystem>
#include <set>

#include "core/error.h"
#include "core/hugging_face/config.h"
#include "core/recipe/checks.h"

namespace veomni {

namespace {

/// What may differ from the directory: it changes training, not what the weights mean.
bool is_free(const std::string& key, const Json& base) {
  static const std::set<std::string> always = {"router_aux_loss_coef", "router_z_loss_coef",
                                               "balance", "initializer_range"};
  if (key != "max_position_embeddings") return always.contains(key);
  const Json rope = base.value("rope_scaling", Json::object());
  return base.contains("rope_theta") && rope.value("rope_type", "default") != "dynamic";
}

/// Text to encode, or ids.
bool has_text(const Json& recipe) {
  if (recipe.contains("tokenizer")) return true;
  const auto sources = Json::json_pointer("/data/sources");
  if (!recipe.contains(sources) || !recipe.at(sources).is_array()) return false;
  for (const Json& source : recipe.at(sources))
    if (source.is_object() && source.value("format", Json(nullptr)) == "tokens") return true;
  return false;
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
  if (!has_text(recipe)) base.erase("vocab_size");  // such a model has no token embedding
  for (const auto& [key, value] : given.items()) {
    if (base.contains(key) && base[key] != value && !is_free(key, base))
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
