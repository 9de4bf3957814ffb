#pragma once
// Which tensors of a Hugging Face directory a parameter of the base model is made of.

#include <cstdint>
#include <string>
#include <vector>

#include "core/recipe/recipe.h"

namespace veomni {

/// A tensor of the directory; a parameter is the end-to-end concatenation of its flattened pieces, so a range of the
/// one is ranges of the others.
struct HuggingFacePiece {
  std::string tensor;
  std::vector<int64_t> shape;
  int64_t count() const;
};

/// In order; empty for parameters that Hugging Face's class does not have (readout and boundary tokens, task weights,
/// parts other than the base). Names are those of the Hub (LlamaForCausalLM, Qwen3MoeForCausalLM: experts one by one).
std::vector<HuggingFacePiece> hugging_face_pieces(const std::string& parameter,
                                                  const std::vector<int64_t>& shape,
                                                  const BaseConfig& base);

}  // namespace veomni
