#pragma once
// T tokens, N query heads, K key-value heads, H head size (even), S samples

#include <array>
#include <cstdint>

#include "kernels/rope.h"

namespace at {
class Tensor;
}

namespace veomni::kernels {

struct AttentionShape {
  int64_t query_heads = 0, key_value_heads = 0, head_dim = 0;
  bool causal = true;     ///< false: every token of a sample sees the whole sample (image encoders)
  double rope_theta = 0;  ///< 0: no rotary embedding. Otherwise as Hugging Face's rotate_half
  double qk_norm_eps = 1e-6;  ///< of the per-head RMSNorm, where weights for it are given
  int64_t rotary_dims = 0;    ///< the first dims of each head that rotate, even; 0: all
  RopeScaling rope_scaling = {};
  /// Pairs that turn by each row of two-dimensional positions, in order (M-RoPE; images' rows and columns)
  std::array<int64_t, 3> rope_sections{};
  bool rope_restarts = false;  ///< pair j of a section of n turns by theta^(-j/n): each starts anew
  /// Each token sees itself and the window - 1 tokens before it (Beltagy et al. 2020, arXiv:2004.05150, as Mistral has it);
  /// 0: all before it. Causal only.
  int64_t window = 0;
};

inline int64_t rotary_dims(const AttentionShape& shape) {
  return shape.rotary_dims > 0 ? shape.rotary_dims : shape.head_dim;
}

/// Rotary embedding (Su et al. 2021, arXiv:2104.09864) of the first rotary_dims = R dims of a head:
/// dim i < R/2 and dim i + R/2 turn by position · theta^(-2i/R), scaled as rope_scaling says. Optional RMSNorm of each head of q and k
/// before it (Qwen3), then softmax(q kᵀ / sqrt(H)) v within each sample of a packed row (Dao et al.
/// 2022, arXiv:2205.14135), with gradient.
///
/// qkv         [T, (N + 2K) H] f32 or bf16, contiguous: all heads of q, then of k, then of v
/// q_weight    [H] or undefined; k_weight likewise: weights of the per-head norm
/// positions   [T] i64 (may be undefined when rope_theta is 0), or [3, T] with rope_sections
/// cu_seqlens  [S + 1] i32, host: sample s owns rows cu_seqlens[s] … cu_seqlens[s+1]-1. Rows past
/// its last entry: none returns     [T, N H] like qkv. Nothing of size T × T is ever stored;
/// backward recomputes the probabilities. Throws c10::Error on any other shape or dtype.
at::Tensor packed_attention(const at::Tensor& qkv, const at::Tensor& q_weight,
                            const at::Tensor& k_weight, const at::Tensor& positions,
                            const at::Tensor& cu_seqlens, const AttentionShape& shape);

}  // namespace veomni::kernels
