#pragma once
// T new tokens, S slots, C capacity of a slot, N query heads, K key-value heads, H head size

#include <ATen/core/Tensor.h>

#include "kernels/attention.h"

namespace veomni::kernels {

/// Positions that lie together in a cache: C is a multiple of it.
inline constexpr int64_t kCachePanel = 16;

/// One layer's cache of keys and values, and where the new tokens of a row of tokens stand in it.
struct CachedRows {
  at::Tensor keys;    ///< [S, K, C / kCachePanel, H, kCachePanel] f32, bf16 or f64, contiguous:
                      ///< normed and rotated keys
  at::Tensor values;  ///< likewise; what no token has written must be finite
  at::Tensor slots;   ///< [T] i64, host: each token's slot
  at::Tensor places;  ///< [T] i64, host: how many tokens stand before it in the slot
};

/// Writes the keys and values of new tokens into their places.
///
/// qkv, k_weight, positions and shape as packed_attention takes them; the cache has qkv's type and
/// device. No gradient. Throws c10::Error on other shapes, types, and on places outside the cache.
void append_to_cache(const at::Tensor& qkv, const at::Tensor& k_weight, const at::Tensor& positions,
                     const CachedRows& rows, const AttentionShape& shape);

/// softmax(q kᵀ / sqrt(H)) v of each new token over the tokens of its slot up to itself; they are in
/// the cache, the new one too. The result of a token depends on its own slot alone, to the bit.
///
/// Arguments as append_to_cache; q_weight [H] or undefined. Returns [T, N H] like qkv. No gradient.
at::Tensor cached_attention(const at::Tensor& qkv, const at::Tensor& q_weight,
                            const at::Tensor& positions, const CachedRows& rows,
                            const AttentionShape& shape);

}  // namespace veomni::kernels
