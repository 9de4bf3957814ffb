// veomni validate RECIPE: reads and checks the recipe; opens no data and loads no engine.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cmd/verbs.h"
#include "core/recipe/recipe.h"
#include "core/recipe/summary.h"

namespace veomni {

void add_validate(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("validate", "check a recipe and say what it describes");
  auto arguments = std::make_shared<RecipeArguments>();
  auto json = std::make_shared<bool>(false);
  add_recipe_arguments(*verb, *arguments);
  verb->add_flag("--json", *json, "print a JSON object, with the resolved recipe");
  verb->callback([=, &action] {
    action = [=] {
      const Recipe recipe = read_recipe(recipe_file(arguments->recipe), arguments->overrides);
      Json summary = summarize(recipe);
      if (*json) {
        summary["resolved"] = recipe.resolved;
        fmt::print("{}\n", summary.dump());
      } else {
        fmt::print("{}\n", summary_line(summary));
      }
      return 0;
    };
  });
}

}  // namespace veomni
