// veomni schema: the JSON Schema of recipes, for editors.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cmd/verbs.h"
#include "core/recipe/recipe.h"

namespace veomni {

void add_schema(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("schema", "print the JSON Schema of recipes, for editors");
  verb->callback([&action] {
    action = [] {
      fmt::print("{}\n", recipe_schema().dump(2));
      return 0;
    };
  });
}

}  // namespace veomni
