#pragma once
// The verbs of the command line: each adds its subcommand and puts what to run into `action`.

#include <functional>
#include <string>
#include <vector>

#include "core/json.h"

namespace CLI {
class App;
}

namespace veomni {

/// Runs after the whole command line was read; returns the exit code. Throws our errors.
using Action = std::function<int()>;

void add_train(CLI::App& app, Action& action);
void add_eval(CLI::App& app, Action& action);
void add_generate(CLI::App& app, Action& action);
void add_export(CLI::App& app, Action& action);
void add_validate(CLI::App& app, Action& action);
void add_schema(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);
void add_new(CLI::App& app, Action& action);
void add_doctor(CLI::App& app, Action& action);
void add_completion(CLI::App& app, Action& action);

/// RECIPE and key=value of one command line.
struct RecipeArguments {
  std::string recipe;
  std::vector<std::string> overrides;
};
/// Adds the positionals RECIPE and KEY=VALUE.
void add_recipe_arguments(CLI::App& verb, RecipeArguments& arguments);

/// The recipe file itself: a run directory stands for its recipe.json.
std::string recipe_file(const std::string& path);

}  // namespace veomni
