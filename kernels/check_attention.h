#pragma once
// For .cpp files of this folder only.

#include <ATen/core/Tensor.h>

#include "kernels/attention.h"

namespace veomni::kernels {

/// The inputs of packed_attention for a qkv of `width` columns and the type and rows of `like` [T, …]; throws
/// c10::Error.
void check_attention(const at::Tensor& like, int64_t width, const at::Tensor& q_weight,
                     const at::Tensor& k_weight, const at::Tensor& positions,
                     const at::Tensor& cu_seqlens, const AttentionShape& shape);

}  // namespace veomni::kernels
