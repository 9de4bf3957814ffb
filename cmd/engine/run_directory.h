#pragma once
// The directory of a run (design: section 6), and how `train` enters it.

#include <filesystem>
#include <optional>
#include <string>

#include "core/recipe/recipe.h"
#include "parallel/plan/plan.h"

namespace veomni {

/// Where a run starts from: a checkpoint's directory, or nothing for a fresh run.
using StartPoint = std::optional<std::filesystem::path>;

/// Rank 0 only. `resume`: auto, a step, a path, or empty; `overwrite` removes what an earlier run left in the output.
/// Throws ConfigError when the output holds a run and neither is given: nothing is ever lost silently.
StartPoint enter_run(const Recipe& recipe, const std::string& resume, bool overwrite);

/// Writes recipe.json and plan.json. Rank 0 only.
void describe_run(const Recipe& recipe, const Plan& plan);

}  // namespace veomni
