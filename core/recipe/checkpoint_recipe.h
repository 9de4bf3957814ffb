#pragma once

#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/recipe/recipe.h"

namespace veomni {

/// The recipe that a checkpoint was trained with, with `key=value` overrides. Throws ConfigError like parse_recipe.
Recipe recipe_of(const Checkpoint& checkpoint, const std::vector<std::string>& overrides = {});

}  // namespace veomni
