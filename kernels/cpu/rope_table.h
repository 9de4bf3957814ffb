#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/attention.h"

namespace veomni::kernels {

/// cosine and sine [P, R/2] f32 of position · frequency (kernels/rope.h), times the attention factor, and the row of
/// them for each token [T] i64.
struct RopeTable {
  at::Tensor cosine, sine, rows;
};

/// The table for these positions [T] i64 ≥ 0, or [3, T] (kernels/attention.h). Rows up to position 131,071 are computed once and
/// shared by all calls and threads; longer contexts, samples whose frequencies differ, and [3, T] get
/// a table of their own. Throws c10::Error on negative positions.
RopeTable rope_table(const at::Tensor& positions, const at::Tensor& cu_seqlens,
                     const AttentionShape& shape);

}  // namespace veomni::kernels
