#pragma once
// Attention of a block whose tokens are shared by the ranks of a group.

#include <ATen/core/Tensor.h>

#include "kernels/attention.h"

namespace veomni {

struct TokenRow;

struct AttentionWeights {
  at::Tensor qkv, bias;       ///< [(N + 2K) H, D]; [(N + 2K) H] or undefined
  at::Tensor q_norm, k_norm;  ///< [H] or undefined
};

/// x [t, D] of this rank's tokens → [t, N H]: what packed attention over the whole row gives for them. Collective over
/// row.share->group.
at::Tensor shared_attention(const at::Tensor& x, const AttentionWeights& weights,
                            const TokenRow& row, const kernels::AttentionShape& shape);

}  // namespace veomni
