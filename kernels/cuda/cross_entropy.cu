// Softmax cross-entropy of a chunk of logits, its gradient written over them:
// kernels/cross_entropy.h.
#include <cfloat>

#include "kernels/cuda/common.cuh"
#include "kernels/cuda/functions.h"

namespace veomni::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kIgnored = -100;

template <class T>
__device__ void clear_row(T* row, int64_t count) {
  for (int64_t v = threadIdx.x; v < count; v += blockDim.x) write(row, v, 0.0f);
}

/// Position of the first of the largest values; every thread gets it.
template <class T>
__device__ int64_t first_largest(const T* row, int64_t count, float largest) {
  __shared__ unsigned long long first;
  if (threadIdx.x == 0) first = ~0ull;
  __syncthreads();
  for (int64_t v = threadIdx.x; v < count; v += blockDim.x) {
    if (read(row, v) == largest) {
      atomicMin(&first, static_cast<unsigned long long>(v));
      break;  // a thread's later ones come later
    }
  }
  __syncthreads();
  return static_cast<int64_t>(first);
}

/// One block a token.
template <class T>
__global__ void cross_entropy_kernel(VeomniCrossEntropy a) {
  const int64_t t = blockIdx.x, label = a.labels[t];
  T* row = static_cast<T*>(a.logits) + t * a.vocabulary;
  if (label < 0 || label >= a.vocabulary) {
    if (threadIdx.x == 0) {
      a.losses[t] = 0;
      if (a.correct != nullptr) a.correct[t] = 0;
      if (label != kIgnored) *a.bad_label = 1;
    }
    if (a.gradient) clear_row(row, a.vocabulary);
    return;
  }
  float largest = -INFINITY;
  for (int64_t v = threadIdx.x; v < a.vocabulary; v += blockDim.x) {
    largest = fmaxf(largest, read(row, v));
  }
  largest = block_max(largest);
  float sum = 0;
  for (int64_t v = threadIdx.x; v < a.vocabulary; v += blockDim.x) {
    sum += expf(read(row, v) - largest);
  }
  sum = block_sum(sum);
  if (a.correct != nullptr) {
    const int64_t best = first_largest(row, a.vocabulary, largest);
    if (threadIdx.x == 0) a.correct[t] = best == label;
  }
  if (threadIdx.x == 0) a.losses[t] = logf(sum) + largest - read(row, label);
  if (!a.gradient) return;
  __syncthreads();  // the label's logit has been read
  const float weight = a.scale * (a.label_weights != nullptr ? a.label_weights[t] : 1.0f);
  for (int64_t v = threadIdx.x; v < a.vocabulary; v += blockDim.x) {
    const float softmax = expf(read(row, v) - largest) / sum;
    write(row, v, weight * (softmax - (v == label ? 1.0f : 0.0f)));
  }
}

}  // namespace

int cross_entropy(const VeomniCrossEntropy* args, void* stream) {
  if (args->tokens == 0) return 0;
  return with_scalar(args->scalar, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    VEOMNI_LAUNCH(cross_entropy_kernel<T>, blocks(args->tokens), kThreads, 0, stream, *args);
    return launched();
  });
}

}  // namespace veomni::cuda
