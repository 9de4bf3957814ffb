#pragma once
// T tokens, D model, F feed-forward width, N query heads, K key-value heads, H head size, S samples

#include <ATen/core/Tensor.h>

#include <utility>

#include "kernels/attention.h"
#include "kernels/gradient_home.h"

namespace veomni::kernels {

/// Parameters of a pre-norm block with SwiGLU; optional ones may be undefined.
struct DenseBlockWeights {
  at::Tensor input_norm;      ///< [D]
  at::Tensor qkv;             ///< [(N + 2K) H, D]
  at::Tensor qkv_bias;        ///< [(N + 2K) H], optional
  at::Tensor q_norm, k_norm;  ///< [H], optional
  at::Tensor output;          ///< [D, N H]
  at::Tensor post_norm;       ///< [D]
  at::Tensor gate_up;         ///< [2F, D]
  at::Tensor down;            ///< [D, F]
};

/// Whether dense_block takes rows like x: f32, at least 16 of them, on a CPU whose products are our own.
bool has_dense_block(const at::Tensor& x);

/// A whole Transformer block without dropout: what add_rms_norm, linear, packed_attention, linear, add_rms_norm,
/// linear, swiglu, linear compute one after the other, with gradient. Each thread takes its rows through all of it
/// while they are in its caches, where separate operators stream every intermediate result through memory.
///
/// sum [T, D]; branch [T, D] or undefined: the block's input is sum + branch. positions, cu_seqlens, shape: as in
/// packed_attention; norm_eps is of both norms. home: may be empty; asked for the matrices and the norms' weights.
/// returns  {m, f} [T, D]: m = input + attention, f = feed_forward(m); the block's output is m + f.
/// Memory kept for backward: as the separate operators keep. Throws c10::Error on any other shape or dtype.
std::pair<at::Tensor, at::Tensor> dense_block(const at::Tensor& sum, const at::Tensor& branch,
                                              const DenseBlockWeights& weights,
                                              const at::Tensor& positions,
                                              const at::Tensor& cu_seqlens,
                                              const AttentionShape& shape, double norm_eps,
                                              const GradientHome& home = {});

}  // namespace veomni::kernels
