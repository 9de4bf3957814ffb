#pragma once
// Whether a run may go on from a checkpoint.

#include "core/checkpoint/checkpoint.h"
#include "core/recipe/recipe.h"

namespace veomni {

/// The recipe a checkpoint was made with may differ from `recipe` in how long to train, not in what: throws ConfigError
/// naming the first key (model, data, train.packs, train.pack_tokens, seed, …) that does. Data files may have moved: not
/// their paths are compared but what they hold (core/data/fingerprint.h). Of train.groups, learning rates and weight decay
/// may change, and more may be frozen; what was frozen may be trained only by an optimizer without state.
void check_resume(const Recipe& recipe, const Checkpoint& checkpoint);

}  // namespace veomni
