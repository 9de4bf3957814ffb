#pragma once
// What the verbs that compute share: read the recipe, then start ranks or call the engine.

#include "cmd/verbs.h"

namespace veomni {

struct ComputeArguments {
  RecipeArguments recipe;
  bool json = false;
  int ranks = 0;  ///< 0: not given
};

/// RECIPE, KEY=VALUE and --json.
void add_compute_arguments(CLI::App& verb, ComputeArguments& arguments);
void add_ranks_option(CLI::App& verb, ComputeArguments& arguments);

/// Checks the recipe (so that its errors come once, before any rank starts), then runs the verb.
/// Returns the exit code.
int compute(const std::string& verb, const ComputeArguments& arguments, Json options);

/// The same for a target that is not read here: the engine says what is wrong with it.
int start_engine(const std::string& verb, const ComputeArguments& arguments, Json options);

}  // namespace veomni
