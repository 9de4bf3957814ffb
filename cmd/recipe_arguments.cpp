#include <CLI/CLI.hpp>
#include <filesystem>

#include "cmd/verbs.h"

namespace veomni {

void add_recipe_arguments(CLI::App& verb, RecipeArguments& arguments) {
  verb.add_option("RECIPE", arguments.recipe, "recipe file, or the directory of a run")->required();
  verb.add_option("KEY=VALUE", arguments.overrides,
                  "replaces a key of the recipe by its dotted path, for example train.steps=200");
}

std::string recipe_file(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path inside = fs::path(path) / "recipe.json";
  return fs::is_directory(path, error) && fs::exists(inside, error) ? inside.string() : path;
}

}  // namespace veomni
