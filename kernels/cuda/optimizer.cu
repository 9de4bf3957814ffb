// AdamW over flat f32 arrays and the sum of squares for clipping: kernels/optimizer.h.
#include "kernels/cuda/common.cuh"
#include "kernels/cuda/functions.h"

namespace veomni::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void adamw_kernel(VeomniAdamW a) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= a.count) return;
  const float gradient = a.gradient[i] * a.gradient_scale;
  const float mean = a.exp_avg[i] + (gradient - a.exp_avg[i]) * a.rest1;
  const float square = a.exp_avg_sq[i] * a.beta2 + gradient * gradient * a.rest2;
  a.exp_avg[i] = mean;
  a.exp_avg_sq[i] = square;
  const float denominator = sqrtf(square) / a.root_correction + a.eps;
  a.parameter[i] = a.parameter[i] * a.decay - a.step_size * (mean / denominator);
}

__global__ void square_partial_kernel(VeomniSumOfSquares a) {
  double sum = 0;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < a.count;
       i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    const double value = a.x[i];
    sum += value * value;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) a.partial[blockIdx.x] = sum;
}

__global__ void square_sum_kernel(VeomniSumOfSquares a) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < kVeomniSquarePartials; i += blockDim.x) sum += a.partial[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *a.sum = sum;
}

}  // namespace

int adamw(const VeomniAdamW* args, void* stream) {
  if (args->count == 0) return 0;
  VEOMNI_LAUNCH(adamw_kernel, blocks(ceil_div(args->count, kThreads)), kThreads, 0, stream, *args);
  return launched();
}

int sum_of_squares(const VeomniSumOfSquares* args, void* stream) {
  VEOMNI_LAUNCH(square_partial_kernel, blocks(kVeomniSquarePartials), kThreads, 0, stream, *args);
  if (const int code = launched()) return code;
  VEOMNI_LAUNCH(square_sum_kernel, blocks(1), kThreads, 0, stream, *args);
  return launched();
}

}  // namespace veomni::cuda
