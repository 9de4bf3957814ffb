#include "core/recipe/directory_recipe.h"

#include "core/hugging_face/config.h"

namespace veomni {
namespace fs = std::filesystem;

bool is_model_directory(const fs::path& path) {
  std::error_code error;
  return fs::exists(path / "config.json", error) && !fs::exists(path / "checkpoints", error) &&
         !fs::exists(path / "recipe.json", error);
}

Recipe recipe_of_directory(const fs::path& directory, const std::vector<std::string>& overrides) {
  const auto path = fs::absolute(directory).lexically_normal();
  const Json text = {{"part", "text"}, {"learn", true}};
  const Json source = {{"name", "none"},
                       {"format", "tokens"},
                       {"path", (path / "config.json").string()},
                       {"sample", Json::array({text})}};
  const Json recipe = {
      {"name", "generate"},
      {"model",
       {{"from", path.string()},
        {"base", read_hugging_face_config(path)},
        {"decoders", {{"text", {{"type", "text"}}}}}}},
      {"data", {{"sources", Json::array({source})}}},
      {"train", {{"steps", 1}, {"packs", 1}, {"pack_tokens", 1}, {"schedule", {{"warmup", 0}}}}}};
  return parse_recipe(recipe.dump(), (path / "config.json").string(), overrides);
}

}  // namespace veomni
