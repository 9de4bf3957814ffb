#pragma once
// Starts a model from the weights of a Hugging Face directory.

#include "core/hugging_face/weights.h"
#include "core/recipe/recipe.h"
#include "core/train/model.h"

namespace veomni {

/// Throws ConfigError on an absent tensor, one of another shape, and one that no parameter takes. Before the model is
/// built: what config.json claims costs no memory unless the files hold it.
void check_weights(const BaseConfig& base, const HuggingFaceWeights& weights);

/// Fills this rank's shards of the base model; only the ranges it keeps are read. Parts that the directory does not
/// have (encoders, heads, readout and boundary tokens) keep their fresh values. Throws as check_weights does.
void import_weights(Model& model, const BaseConfig& base, const HuggingFaceWeights& weights);

}  // namespace veomni
