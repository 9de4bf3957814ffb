#pragma once
// Which tensors of a Hugging Face directory a parameter of the base model is made of.

#include <cstdint>
#include <string>
#include <vector>

#include "core/recipe/parameter_spec.h"
#include "core/recipe/recipe.h"

namespace veomni {

/// In order; empty for parameters that Hugging Face's class does not have (readout and boundary tokens, task weights,
/// parts other than the base). Names are those of the Hub: experts one by one, GPT-2's with "transformer." in front
/// (files made of the bare model leave it out), GPT-NeoX's q, k and v of a head side by side.
std::vector<HuggingFacePiece> hugging_face_pieces(const std::string& parameter,
                                                  const std::vector<int64_t>& shape,
                                                  const BaseConfig& base);

/// Tensors of a file that hold nothing of the model: masks and rotary tables that old versions stored, and a tied
/// model's copy of the embedding.
bool is_left_over(const std::string& tensor, const BaseConfig& base);

}  // namespace veomni
