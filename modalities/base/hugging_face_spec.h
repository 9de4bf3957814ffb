#pragma once
// Which tensors of a Hugging Face directory a parameter of the base model is made of.

#include <cstdint>
#include <string>
#include <vector>

#include "core/recipe/recipe.h"

namespace veomni {

/// A part of a tensor of the directory; a parameter is the end-to-end concatenation of its flattened pieces, so a range
/// of the one is ranges of the others.
struct HuggingFacePiece {
  std::string tensor;
  std::vector<int64_t> shape;  ///< of the whole tensor
  int64_t begin = 0, end = 0;  ///< its flattened elements; all of them when end is 0
  bool transposed =
      false;  ///< all of them, the file's [inputs, outputs] read column by column (GPT-2's Conv1D)
  int64_t count() const;
};

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
