#pragma once

#include <ATen/core/Tensor.h>

namespace veomni::kernels {

/// cosine and sine [P, H/2] f32 of position · theta^(-2i/H), and the row of them for each token [T]
/// i64.
struct RopeTable {
  at::Tensor cosine, sine, rows;
};

/// The table for these positions [T] i64 ≥ 0. Rows up to position 131,071 are computed once and
/// shared by all calls and threads; longer contexts get a table of their own. Throws c10::Error on
/// negative positions.
RopeTable rope_table(const at::Tensor& positions, double theta, int64_t head_dim);

}  // namespace veomni::kernels
