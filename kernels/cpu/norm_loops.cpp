// Root-mean-square norm of rows, alone or with the residual added first.
#include "kernels/cpu/vector.h"

namespace veomni::kernels::VEOMNI_ISA {
namespace {

template <class T>
void forward(const NormArgs& args, int64_t begin, int64_t end) {
  const int64_t dim = args.dim;
  const T* weight = static_cast<const T*>(args.weight);
  for (int64_t t = begin; t < end; ++t) {
    const T* x = static_cast<const T*>(args.x) + t * dim;
    T* y = static_cast<T*>(args.y) + t * dim;
    float squares = 0;
    if (args.residual) {
      const T* residual = static_cast<const T*>(args.residual) + t * dim;
      T* sum = static_cast<T*>(args.sum) + t * dim;
#pragma omp simd reduction(+ : squares)
      for (int64_t d = 0; d < dim; ++d) {
        store(sum + d, to_float(x[d]) + to_float(residual[d]));
        squares += to_float(sum[d]) * to_float(sum[d]);
      }
      x = sum;
    } else {
#pragma omp simd reduction(+ : squares)
      for (int64_t d = 0; d < dim; ++d) squares += to_float(x[d]) * to_float(x[d]);
    }
    const float rstd = 1.f / __builtin_sqrtf(squares / static_cast<float>(dim) + args.epsilon);
    args.rstd[t] = rstd;
#pragma omp simd
    for (int64_t d = 0; d < dim; ++d) store(y + d, to_float(x[d]) * rstd * to_float(weight[d]));
  }
}

/// One row: d_x, and its share of the weight's gradient. A null d_sum adds nothing.
template <class T, bool kHasSum>
void backward_row(const NormArgs& args, int64_t t, float* d_weight) {
  const int64_t dim = args.dim;
  const T* x = static_cast<const T*>(args.x) + t * dim;
  const T* d_y = static_cast<const T*>(args.d_y) + t * dim;
  const T* d_sum = kHasSum ? static_cast<const T*>(args.d_sum) + t * dim : nullptr;
  const T* weight = static_cast<const T*>(args.weight);
  T* d_x = static_cast<T*>(args.d_x) + t * dim;
  const float rstd = args.rstd[t];
  float dot = 0;
#pragma omp simd reduction(+ : dot)
  for (int64_t d = 0; d < dim; ++d) {
    const float share = to_float(d_y[d]) * to_float(x[d]) * rstd;
    d_weight[d] += share;
    dot += share * to_float(weight[d]);
  }
  dot *= rstd / static_cast<float>(dim);
#pragma omp simd
  for (int64_t d = 0; d < dim; ++d) {
    const float value = rstd * (to_float(d_y[d]) * to_float(weight[d]) - to_float(x[d]) * dot);
    store(d_x + d, kHasSum ? value + to_float(d_sum[d]) : value);
  }
  if (args.y == nullptr) return;
  T* y = static_cast<T*>(args.y) + t * dim;
#pragma omp simd
  for (int64_t d = 0; d < dim; ++d) store(y + d, to_float(x[d]) * rstd * to_float(weight[d]));
}

template <class T>
void backward(const NormArgs& args, int64_t begin, int64_t end, float* d_weight) {
  for (int64_t t = begin; t < end; ++t)
    args.d_sum ? backward_row<T, true>(args, t, d_weight)
               : backward_row<T, false>(args, t, d_weight);
}

void norm_forward(const NormArgs& args, int64_t begin, int64_t end) {
  args.scalar == Scalar::f32 ? forward<float>(args, begin, end) : forward<Bf16>(args, begin, end);
}

void norm_backward(const NormArgs& args, int64_t begin, int64_t end, float* d_weight) {
  args.scalar == Scalar::f32 ? backward<float>(args, begin, end, d_weight)
                             : backward<Bf16>(args, begin, end, d_weight);
}

}  // namespace

void fill_norm(Loops& loops) {
  loops.norm_forward = norm_forward;
  loops.norm_backward = norm_backward;
}

}  // namespace veomni::kernels::VEOMNI_ISA
