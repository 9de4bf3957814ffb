#pragma once
// Assembles a recipe's encoders, base model, decoders and heads into what the training loop drives.

#include <memory>

#include "core/recipe/recipe.h"
#include "core/train/model.h"
#include "parallel/fsdp/unit.h"

namespace veomni {

/// `vocab_size`: Dataset::vocab_size(). Every rank builds the same model.
/// `context` must outlive the model; it gets the recipe's train.groups.
std::unique_ptr<Model> build_model(const Recipe& recipe, int64_t vocab_size,
                                   ParallelContext& context);

}  // namespace veomni
