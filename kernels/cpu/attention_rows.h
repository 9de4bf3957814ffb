#pragma once
// One head of one token on its way into attention (norm, rotation, scale) and its gradient on the
// way out. Only for *_loops.cpp.

#include "kernels/cpu/vector.h"

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

template <class T>
inline float inverse_norm(const T* raw, const RowMap& map) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t h = 0; h < map.dim; ++h) squares += to_float(raw[h]) * to_float(raw[h]);
  return 1.f / __builtin_sqrtf(squares / static_cast<float>(map.dim) + map.epsilon);
}

/// row [padded] = scale · rotate(norm(raw)), zero past H.
template <class T>
inline void load_row(const T* raw, const RowMap& map, int64_t token, float scale, float* row) {
  const int64_t dim = map.dim, half = map.half();
  if (map.weight) {
    const float factor = scale * inverse_norm(raw, map);
    const float* weight = map.weight;
#pragma omp simd
    for (int64_t h = 0; h < dim; ++h) row[h] = to_float(raw[h]) * factor * weight[h];
  } else {
#pragma omp simd
    for (int64_t h = 0; h < dim; ++h) row[h] = to_float(raw[h]) * scale;
  }
  if (const float* cosine = map.cosine(token)) {
    const float* sine = map.sine(token);
#pragma omp simd
    for (int64_t h = 0; h < half; ++h) {
      const float a = row[h], b = row[h + half];
      row[h] = a * cosine[h] - b * sine[h];
      row[h + half] = b * cosine[h] + a * sine[h];
    }
  }
  for (int64_t h = dim; h < map.padded; ++h) row[h] = 0;
}

/// The gradient of load_row: `row` [H] is overwritten, the result goes to d_raw, the weight's share
/// is added.
template <class T>
inline void finish_row(float* row, const RowMap& map, int64_t token, float scale, const T* raw,
                       T* d_raw, float* d_weight) {
  const int64_t dim = map.dim, half = map.half();
  if (const float* cosine = map.cosine(token)) {
    const float* sine = map.sine(token);
#pragma omp simd
    for (int64_t h = 0; h < half; ++h) {
      const float a = row[h], b = row[h + half];
      row[h] = a * cosine[h] + b * sine[h];
      row[h + half] = b * cosine[h] - a * sine[h];
    }
  }
  if (!map.weight) {
#pragma omp simd
    for (int64_t h = 0; h < dim; ++h) store(d_raw + h, row[h] * scale);
    return;
  }
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
