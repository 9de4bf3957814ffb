#include "cmd/compute.h"

#include <CLI/CLI.hpp>
#include <filesystem>

#include "cmd/engine_library.h"
#include "cmd/ranks.h"
#include "core/checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/exit_status.h"
#include "core/recipe/recipe.h"

namespace veomni {

void add_compute_arguments(CLI::App& verb, ComputeArguments& arguments) {
  add_recipe_arguments(verb, arguments.recipe);
  verb.add_flag(
      "--json", arguments.json,
      "standard output gets one JSON object a line; text for people goes to standard error");
}

void add_ranks_option(CLI::App& verb, ComputeArguments& arguments) {
  verb.add_option("--ranks", arguments.ranks, "start so many ranks under mpirun")
      ->check(CLI::Range(1, 1 << 16));
}

int compute(const std::string& verb, const ComputeArguments& arguments, Json options) {
  ComputeArguments resolved = arguments;
  auto& [recipe, overrides] = resolved.recipe;
  recipe = recipe_file(arguments.recipe.recipe);
  if (recipe != arguments.recipe.recipe) {
    // A run's directory is its output, also after it has been moved.
    overrides.insert(overrides.begin(),
                     "output=" + std::filesystem::absolute(arguments.recipe.recipe).string());
  }
  // Of ranks started by mpirun the first checks for all; the engine reads the recipe again on each.
  if (launched_rank() == 0 && !is_checkpoint(recipe)) (void)read_recipe(recipe, overrides);
  return start_engine(verb, resolved, std::move(options));
}

int start_engine(const std::string& verb, const ComputeArguments& arguments, Json options) {
  options["json"] = arguments.json;
  const Json request{{"verb", verb},
                     {"recipe", arguments.recipe.recipe},
                     {"overrides", arguments.recipe.overrides},
                     {"options", std::move(options)}};
  if (arguments.ranks > 0) {
    require<ConfigError>(launched_size() == 1,
                         "--ranks: mpirun has started {} ranks already; leave it out",
                         launched_size());
  }
  return arguments.ranks > 1 ? run_ranks(arguments.ranks, request) : run_engine(request);
}

}  // namespace veomni
