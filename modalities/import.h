#pragma once
// Starts a model from the weights of Hugging Face directories.

#include <vector>

#include "core/recipe/recipe.h"
#include "core/train/parameters.h"

namespace veomni {

/// Whether any part of the recipe names a directory.
bool starts_from_directory(const Recipe& recipe);

/// Fills this rank's shards of the base model (model.from) and of encoders with "from"; only the ranges it keeps are
/// read. What the directories do not have (projectors, heads, readout and boundary tokens, other encoders) keeps its
/// fresh values. Throws ConfigError on an absent tensor, one of another shape, and one that no parameter takes.
void import_weights(const std::vector<Shard*>& shards, const Recipe& recipe);

}  // namespace veomni
