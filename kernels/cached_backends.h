#pragma once
// kernels/cached_attention.h on the CPU in f32 and bf16, and composed of ATen operators for the rest;
// arguments are checked already.

#include "kernels/cached_attention.h"

namespace veomni::kernels {

namespace cpu {
void append_to_cache(const at::Tensor& qkv, const at::Tensor& k_weight, const at::Tensor& positions,
                     const CachedRows& rows, const AttentionShape& shape);
at::Tensor cached_attention(const at::Tensor& qkv, const at::Tensor& q_weight,
                            const at::Tensor& positions, const CachedRows& rows,
                            const AttentionShape& shape);
}  // namespace cpu

namespace reference {
void append_to_cache(const at::Tensor& qkv, const at::Tensor& k_weight, const at::Tensor& positions,
                     const CachedRows& rows, const AttentionShape& shape);
at::Tensor cached_attention(const at::Tensor& qkv, const at::Tensor& q_weight,
                            const at::Tensor& positions, const CachedRows& rows,
                            const AttentionShape& shape);
}  // namespace reference

}  // namespace veomni::kernels
