// RMSNorm, with or without a residual added first: kernels/norm.h.
// With r = rstd, n = s · r:  grad_s = r · (w g − n · mean_d(w g n)), grad_w[d] = Σ_t g n.
#include "kernels/cuda/common.cuh"
#include "kernels/cuda/functions.h"

namespace veomni::cuda {
namespace {

constexpr int kThreads = 256;

template <class T>
__global__ void forward_kernel(VeomniRmsNorm a) {
  const int64_t row = blockIdx.x, base = row * a.dim;
  const T* x = static_cast<const T*>(a.x);
  if (a.residual != nullptr) {
    T* sum = static_cast<T*>(a.sum);
    const T* residual = static_cast<const T*>(a.residual);
    for (int64_t d = threadIdx.x; d < a.dim; d += blockDim.x) {
      write(sum, base + d, read(x, base + d) + read(residual, base + d));
    }
    x = sum;  // each thread reads back only what it wrote itself
  }
  float square = 0;
  for (int64_t d = threadIdx.x; d < a.dim; d += blockDim.x) {
    const float value = read(x, base + d);
    square += value * value;
  }
  const float rstd = rsqrtf(block_sum(square) / static_cast<float>(a.dim) + a.epsilon);
  if (threadIdx.x == 0) a.rstd[row] = rstd;
  for (int64_t d = threadIdx.x; d < a.dim; d += blockDim.x) {
    const float scaled = read(x, base + d) * rstd * read(static_cast<const T*>(a.weight), d);
    write(static_cast<T*>(a.y), base + d, scaled);
  }
}

template <class T>
__global__ void input_gradient_kernel(VeomniRmsNormBackward a) {
  const int64_t row = blockIdx.x, base = row * a.dim;
  const T* grad_y = static_cast<const T*>(a.grad_y);
  const T* s = static_cast<const T*>(a.s);
  const T* weight = static_cast<const T*>(a.weight);
  const float rstd = a.rstd[row];
  float dot = 0;
  for (int64_t d = threadIdx.x; d < a.dim; d += blockDim.x) {
    dot += read(weight, d) * read(grad_y, base + d) * (read(s, base + d) * rstd);
  }
  const float mean = block_sum(dot) / static_cast<float>(a.dim);
  for (int64_t d = threadIdx.x; d < a.dim; d += blockDim.x) {
    const float normed = read(s, base + d) * rstd;
    float grad = rstd * (read(weight, d) * read(grad_y, base + d) - normed * mean);
    if (a.grad_sum != nullptr) grad += read(static_cast<const T*>(a.grad_sum), base + d);
    write(static_cast<T*>(a.grad_x), base + d, grad);
  }
}

/// One thread a column; block y sums every partial_rows-th run of rows.
template <class T>
__global__ void weight_partial_kernel(VeomniRmsNormBackward a, int64_t rows_each) {
  const int64_t d = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (d >= a.dim) return;
  const int64_t first = blockIdx.y * rows_each;
  const int64_t last = first + rows_each < a.tokens ? first + rows_each : a.tokens;
  float sum = 0;
  for (int64_t row = first; row < last; ++row) {
    const int64_t at = row * a.dim + d;
    sum += read(static_cast<const T*>(a.grad_y), at) * read(static_cast<const T*>(a.s), at) *
           a.rstd[row];
  }
  a.partial[blockIdx.y * a.dim + d] = sum;
}

template <class T>
__global__ void weight_gradient_kernel(VeomniRmsNormBackward a, int64_t partial_rows) {
  const int64_t d = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (d >= a.dim) return;
  float sum = 0;
  for (int64_t row = 0; row < partial_rows; ++row) sum += a.partial[row * a.dim + d];
  write(static_cast<T*>(a.grad_weight), d, sum);
}

}  // namespace

int rms_norm(const VeomniRmsNorm* args, void* stream) {
  if (args->tokens == 0) return 0;
  return with_scalar(args->scalar, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    VEOMNI_LAUNCH(forward_kernel<T>, blocks(args->tokens), kThreads, 0, stream, *args);
    return launched();
  });
}

int rms_norm_backward(const VeomniRmsNormBackward* args, void* stream) {
  if (args->dim == 0) return 0;
  const int64_t rows = veomni_partial_rows(args->tokens);
  const int64_t columns = ceil_div(args->dim, kThreads);
  return with_scalar(args->scalar, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    if (args->tokens > 0) {
      VEOMNI_LAUNCH(input_gradient_kernel<T>, blocks(args->tokens), kThreads, 0, stream, *args);
      if (const int code = launched()) return code;
    }
    VEOMNI_LAUNCH(weight_partial_kernel<T>, blocks(columns, rows), kThreads, 0, stream, *args,
                  ceil_div(args->tokens, rows));
    if (const int code = launched()) return code;
    VEOMNI_LAUNCH(weight_gradient_kernel<T>, blocks(columns), kThreads, 0, stream, *args, rows);
    return launched();
  });
}

}  // namespace veomni::cuda
