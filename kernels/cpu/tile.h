#pragma once
// Matrix products that stay in registers and the first-level cache, for the blocks of attention.
// Only for *_loops.cpp.

#include "kernels/cpu/vector.h"

namespace veomni::kernels::VEOMNI_ISA {

using Vec [[gnu::vector_size(kLanes * 4)]] = float;
using IntVec [[gnu::vector_size(kLanes * 4)]] = int;

constexpr int kTileRows = kLanes == 16 ? 8 : 4;  // accumulators: kTileRows × 2 vectors
constexpr int kPanel = 2 * kLanes;               // columns of one tile

inline Vec load(const float* p) {
  Vec v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
inline void save(float* p, Vec v) { __builtin_memcpy(p, &v, sizeof(v)); }
inline Vec splat(float value) { return value - Vec{}; }
inline Vec larger(Vec a, Vec b) { return a > b ? a : b; }

/// Lane i gets lane i ^ kStep.
template <int kStep>
inline Vec swapped(Vec v) {
  IntVec pick;
  for (int i = 0; i < kLanes; ++i) pick[i] = i ^ kStep;
  return __builtin_shuffle(v, pick);
}

/// combine over all lanes, in a fixed order.
template <class F>
inline float reduce(Vec v, const F& combine) {
  if constexpr (kLanes > 8) v = combine(v, swapped<8 % kLanes>(v));
  if constexpr (kLanes > 4) v = combine(v, swapped<4 % kLanes>(v));
  v = combine(v, swapped<2>(v));
  v = combine(v, swapped<1>(v));
  return v[0];
}

/// 2^x as exponential2 of one float (vector.h), for whole vectors.
inline Vec exponential2(Vec x) {
  const Vec clamped = x < -126.f ? splat(-126.f) : x;
  const Vec biased = clamped + kRound;
  const Vec r = (clamped - (biased - kRound)) * 0.693147181f;
  IntVec scale;
  __builtin_memcpy(&scale, &biased, sizeof(scale));
  scale = (scale + 127) << 23;
  Vec power;
  __builtin_memcpy(&power, &scale, sizeof(power));
  Vec p = r * (1.f / 5040) + 1.f / 720;
  p = p * r + 1.f / 120;
  p = p * r + 1.f / 24;
  p = p * r + 1.f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.f;
  p = p * r + 1.f;
  return x < -126.f ? Vec{} : p * power;
}

/// C [rows, cols] = or += A [rows, depth] · B [depth, cols]; rows are rounded up to kTileRows, cols
/// to kLanes.
struct Product {
  const float* a;
  int64_t a_row, a_depth;  ///< steps between rows and along depth (either may be 1)
  const float* b;
  int64_t b_depth, b_panel;  ///< steps along depth, and from one panel of columns to the next
  float* c;
  int64_t c_row;
  int64_t rows, cols, depth;
  bool add;
};

/// One tile of C. Not inlined: within larger functions the compiler spills the rows' offsets, a third slower.
template <int kVectors>
[[gnu::noinline]] void tile(const Product& p, const float* a, const float* b, float* c) {
  Vec sums[kTileRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) sums[r][v] = Vec{};
  const int64_t a_row = p.a_row, a_depth = p.a_depth, b_depth = p.b_depth, c_row = p.c_row;
  for (int64_t k = p.depth; k > 0; --k) {
    Vec columns[kVectors];
    for (int v = 0; v < kVectors; ++v) columns[v] = load(b + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r) {
      const Vec broadcast = a[r * a_row] - Vec{};
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums[r][v] += broadcast * columns[v];
    }
    a += a_depth;
    b += b_depth;
  }
  if (p.add) {
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums[r][v] += load(c + r * c_row + v * kLanes);
  }
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) save(c + r * c_row + v * kLanes, sums[r][v]);
}

[[gnu::noinline]] inline void multiply(const Product& p) {
  const float* panel = p.b;
  for (int64_t n = 0; n < p.cols; n += kPanel, panel += p.b_panel) {
    const bool half = p.cols - n <= kLanes;
    for (int64_t r = 0; r < p.rows; r += kTileRows) {
      float* c = p.c + r * p.c_row + n;
      half ? tile<1>(p, p.a + r * p.a_row, panel, c) : tile<2>(p, p.a + r * p.a_row, panel, c);
    }
  }
}

/// rows [kRows, step] → columns [depth rounded up to 4, kStep]: the transpose, 4 × 4 elements at a time.
template <int64_t kRows, int64_t kStep>
inline void transpose(const float* rows, int64_t step, int64_t depth, float* columns) {
  using Four [[gnu::vector_size(16)]] = float;
  using Pick [[gnu::vector_size(16)]] = int;
  for (int64_t h = 0; h < depth; h += 4)
    for (int64_t t = 0; t < kRows; t += 4) {
      Four in[4];
      for (int i = 0; i < 4; ++i) __builtin_memcpy(&in[i], rows + (t + i) * step + h, 16);
      const Four low01 = __builtin_shuffle(in[0], in[1], Pick{0, 4, 1, 5});
      const Four high01 = __builtin_shuffle(in[0], in[1], Pick{2, 6, 3, 7});
      const Four low23 = __builtin_shuffle(in[2], in[3], Pick{0, 4, 1, 5});
      const Four high23 = __builtin_shuffle(in[2], in[3], Pick{2, 6, 3, 7});
      const Four out[4] = {__builtin_shuffle(low01, low23, Pick{0, 1, 4, 5}),
                           __builtin_shuffle(low01, low23, Pick{2, 3, 6, 7}),
                           __builtin_shuffle(high01, high23, Pick{0, 1, 4, 5}),
                           __builtin_shuffle(high01, high23, Pick{2, 3, 6, 7})};
      for (int i = 0; i < 4; ++i) __builtin_memcpy(columns + (h + i) * kStep + t, &out[i], 16);
    }
}

}  // namespace veomni::kernels::VEOMNI_ISA
