#pragma once
// One head of one token on its way into attention (norm, rotation, scale) and its gradient on the
// way out. Only for *_loops.cpp.

#include "kernels/cpu/wide.h"

namespace veomni::kernels::VEOMNI_ISA {

/// How rows of q or of k are prepared.
struct RowMap {
  int64_t dim, padded;  ///< H, and H rounded up to whole vectors
  const float* weight;  ///< of the norm, or null
  float epsilon;
  const AttentionArgs* args;

  int64_t half() const { return args->rotary_dims / 2; }
  const float* cosine(int64_t token) const {
    return args->cosine ? args->cosine + args->positions[token] * half() : nullptr;
  }
  const float* sine(int64_t token) const { return args->sine + args->positions[token] * half(); }
};

inline void store_wide(float* p, Vec v) { save(p, v); }
inline void store_wide(Bf16* p, Vec v) {
  for (int i = 0; i < kLanes; ++i) store(p + i, v[i]);
}

/// Σ_h a[h] · b[h], in a fixed order.
template <class T>
inline float dot_row(const T* a, const T* b, int64_t dim) {
  Vec sums = {};
  int64_t h = 0;
  for (; h + kLanes <= dim; h += kLanes) sums += load_wide(a + h) * load_wide(b + h);
  float sum = reduce(sums, [](Vec x, Vec y) { return x + y; });
  for (; h < dim; ++h) sum += to_float(a[h]) * to_float(b[h]);
  return sum;
}

/// target [dim] = scale · source [dim]
template <class From, class To>
inline void scale_row(const From* source, int64_t dim, float scale, To* target) {
  int64_t h = 0;
  for (; h + kLanes <= dim; h += kLanes) store_wide(target + h, load_wide(source + h) * scale);
  for (; h < dim; ++h) store(target + h, to_float(source[h]) * scale);
}

/// Rotates the pairs (row[h], row[h + half]) by the angles of a token, or back.
template <bool kBack>
inline void rotate_row(float* row, const float* cosine, const float* sine, int64_t half) {
  int64_t h = 0;
  for (; h + kLanes <= half; h += kLanes) {
    const Vec a = load(row + h), b = load(row + half + h), c = load(cosine + h);
    const Vec s = kBack ? -load(sine + h) : load(sine + h);
    save(row + h, a * c - b * s);
    save(row + half + h, b * c + a * s);
  }
  for (; h < half; ++h) {
    const float a = row[h], b = row[h + half], s = kBack ? -sine[h] : sine[h];
    row[h] = a * cosine[h] - b * s;
    row[h + half] = b * cosine[h] + a * s;
  }
}

template <class T>
inline float inverse_norm(const T* raw, const RowMap& map) {
  const float mean = dot_row(raw, raw, map.dim) / static_cast<float>(map.dim);
  return 1.f / __builtin_sqrtf(mean + map.epsilon);
}

/// row [padded] = scale · rotate(norm(raw)), zero past H.
template <class T>
inline void load_row(const T* raw, const RowMap& map, int64_t token, float scale, float* row) {
  const int64_t dim = map.dim;
  if (map.weight) {
    const float factor = scale * inverse_norm(raw, map);
    const float* weight = map.weight;
#pragma omp simd
    for (int64_t h = 0; h < dim; ++h) row[h] = to_float(raw[h]) * factor * weight[h];
  } else {
    scale_row(raw, dim, scale, row);
  }
  if (const float* cosine = map.cosine(token))
    rotate_row<false>(row, cosine, map.sine(token), map.half());
  for (int64_t h = dim; h < map.padded; ++h) row[h] = 0;
}

/// The gradient of load_row: `row` [H] is overwritten, the result goes to d_raw (which may be raw), the weight's share
/// is added.
template <class T>
inline void finish_row(float* row, const RowMap& map, int64_t token, float scale, const T* raw,
                       T* d_raw, float* d_weight) {
  const int64_t dim = map.dim;
  if (const float* cosine = map.cosine(token))
    rotate_row<true>(row, cosine, map.sine(token), map.half());
  if (!map.weight) return scale_row(row, dim, scale, d_raw);
  const float rstd = inverse_norm(raw, map), *weight = map.weight;
  float dot = 0;
#pragma omp simd reduction(+ : dot)
  for (int64_t h = 0; h < dim; ++h) {
    const float normed = to_float(raw[h]) * rstd, gradient = row[h] * scale;
    d_weight[h] += gradient * normed;
    row[h] = gradient * weight[h];
    dot += row[h] * normed;
  }
  dot /= static_cast<float>(dim);
#pragma omp simd
  for (int64_t h = 0; h < dim; ++h)
    store(d_raw + h, rstd * (row[h] - to_float(raw[h]) * rstd * dot));
}

}  // namespace veomni::kernels::VEOMNI_ISA
