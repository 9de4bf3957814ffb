#pragma once
// How loops are split over the threads of at::get_num_threads(). Includes LibTorch: for .cpp files
// of this folder only.

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <atomic>

#include "kernels/cpu/loops.h"

namespace veomni::kernels {

/// f(begin, end) over [0, rows), split so that each piece has work for some microseconds.
template <class F>
void for_rows(int64_t rows, int64_t elements_per_row, const F& f) {
  const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, elements_per_row));
  at::parallel_for(0, rows, grain, f);
}

/// f(item) for items of unequal cost: a thread takes the next one when it is done. Results must not
/// depend on which thread ran an item.
template <class F>
void for_items(int64_t items, const F& f) {
  std::atomic<int64_t> next{0};
  const int64_t threads = std::min<int64_t>(items, at::get_num_threads());
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    for (int64_t item = next++; item < items; item = next++) f(item);
  });
}

inline Scalar scalar_of(const at::Tensor& x) {
  return x.scalar_type() == at::kFloat ? Scalar::f32 : Scalar::bf16;
}

}  // namespace veomni::kernels
