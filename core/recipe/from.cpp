// model.from and the "from" of encoders: keys as a Hugging Face directory's config.json gives them.
#include <algorithm>
#include <filesystem>
#include <set>

#include "core/error.h"
#include "core/hugging_face/config.h"
#include "core/recipe/checks.h"

namespace veomni {

namespace {

/// What may differ from the directory: it changes training, not what the weights mean.
bool is_free(const std::string& key, const Json& base) {
  static const std::set<std::string> always = {
      "router_aux_loss_coef", "router_z_loss_coef",      "balance",
      "initializer_range",    "router_bias_update_rate", "router_force_balance"};
  if (key != "max_position_embeddings") return always.contains(key);
  const Json rope = base.value("rope_scaling", Json::object());
  return base.contains("rope_theta") && rope.value("rope_type", "default") != "dynamic";
}

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

/// A part of a run's own recipe holds every key; going on with the run does not need the directory.
bool is_complete(const Json& part, const PartSpec& spec) {
  return std::all_of(spec.keys.begin(), spec.keys.end(), [&](const Key& key) {
    return key.default_value.is_null() || part.contains(key.name);
  });
}

/// An encoder that names a directory gets the keys that its config.json decides, its type among them.
void apply_encoder_from(Json& part, const Path& path, const std::filesystem::path& folder,
                        const Document& document) {
  if (!part.is_object() || !part.contains("from") || !part.contains("type")) return;
  if (!part["from"].is_string())
    document.fail_value(child(path, "from"), "must be the path of a model directory");
  if (!part["type"].is_string()) return;
  const auto* spec = specs().find(SpecRegistry::Kind::encoder, part["type"].get<std::string>());
  if (spec == nullptr || !spec->read_directory) return;  // the tables say what is wrong
  const auto directory = (folder / part["from"].get<std::string>()).lexically_normal();
  if (is_complete(part, *spec) && !std::filesystem::exists(directory / "config.json")) return;
  const PartFrom from = spec->read_directory(directory);
  Json filled = from.defaults;
  filled.update(part);
  for (const auto& [key, value] : from.fixed.items()) {
    if (part.contains(key) && key != "type" && part[key] != value)
      document.fail_value(
          child(path, key),
          fmt::format("{}, but the weights of {} are made for {}; leave it out",
                      json_excerpt(part[key]), directory.string(), json_excerpt(value)));
    filled[key] = value;
  }
  filled["from"] = directory.string();
  part = std::move(filled);
}

void apply_encoders_from(Json& model, const std::filesystem::path& folder,
                         const Document& document) {
  if (!model.contains("encoders") || !model["encoders"].is_object()) return;
  for (auto&& [name, part] : model["encoders"].items())
    apply_encoder_from(part, {"model", "encoders", name}, folder, document);
}

/// The vision encoder of model.from: the one that the recipe names (of its type, or from the same directory), or one
/// named "visual". Its boundary tokens are those the model was trained with.
void add_vision_encoder(Json& model, const std::filesystem::path& directory,
                        const std::filesystem::path& folder) {
  const Json keys = read_vision_encoder(directory);
  if (keys.is_null()) return;
  if (!model.contains("encoders")) model["encoders"] = Json::object();
  if (!model["encoders"].is_object()) return;
  const auto is_it = [&](const Json& part) {
    if (!part.is_object()) return false;
    if (!part.contains("from")) return part.value("type", Json(nullptr)) == keys["type"];
    return part["from"].is_string() &&
           (folder / part["from"].get<std::string>()).lexically_normal() == directory;
  };
  std::string name = "visual";
  for (const auto& [known, part] : model["encoders"].items())
    if (is_it(part)) name = known;
  Json filled = keys;
  filled["from"] = directory.string();
  filled.update(model["encoders"].value(name, Json::object()));
  model["encoders"][name] = std::move(filled);
}

void apply_base_from(Json& recipe, const std::filesystem::path& folder, const Document& document) {
  Json model = recipe["model"];  // a copy: the tokenizer's key may move the recipe's values
  if (!model.contains("from")) return;
  if (!model["from"].is_string())
    document.fail_value({"model", "from"}, "must be the path of a model directory");
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
    if (base.contains(key) && base[key] != value && !is_free(key, base))
      document.fail_value(
          {"model", "base", key},
          fmt::format("{}, but the weights of model.from are made for {}; leave it out",
                      json_excerpt(value), json_excerpt(base[key])));
    base[key] = value;
  }
  model["from"] = directory.string();
  model["base"] = std::move(base);
  add_vision_encoder(model, directory, folder);
  recipe["model"] = std::move(model);
}

}  // namespace

void apply_from(Json& recipe, const Document& document, const std::string& recipe_path) {
  if (!recipe.is_object() || !recipe.contains("model") || !recipe["model"].is_object()) return;
  const auto folder = std::filesystem::path(recipe_path).parent_path();
  apply_base_from(recipe, folder, document);
  apply_encoders_from(recipe["model"], folder, document);
}

}  // namespace veomni
