#pragma once
// What a decoder is. n positions, D hidden size, V vocabulary

#include <ATen/core/Tensor.h>

#include "core/registry.h"
#include "modalities/encoder.h"

namespace veomni {

struct DecoderInput {
  at::Tensor hidden;  ///< [n, D] after the final norm, only positions with a label in training
  at::Tensor token_weight;  ///< [V, D]: embed_tokens when tied, else lm_head
  at::Tensor labels;        ///< [n] i64
  at::Tensor weights;       ///< [n] f32
  double scale = 1;         ///< what one unit of summed loss counts in the objective
};

struct DecoderLoss {
  at::Tensor scaled;   ///< [] f32, scale · Σ, with gradient
  at::Tensor losses;   ///< [n] f32 each position's loss times its weight, no gradient
  at::Tensor correct;  ///< [n] u8
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual DecoderLoss lm_head(const DecoderInput& input) = 0;
  /// hidden [n, D] → logits [n, V] f32, for one generation step.
  virtual at::Tensor lm_embed(const at::Tensor& hidden, const at::Tensor& token_weight) = 0;
};

using DecoderRegistry = Registry<Decoder, const PartConfig&, BuildContext&>;
DecoderRegistry& decoders();

}  // namespace veomni
