// Rows of an embedding table by id, and the gradient summed over equal ids in their order, without
// atomics.
#include "kernels/cuda/common.cuh"
#include "kernels/cuda/functions.h"

namespace veomni::cuda {
namespace {

constexpr int kThreads = 128;

template <class T>
__global__ void gather_kernel(VeomniEmbedding a) {
  const int64_t i = blockIdx.x, id = a.ids[i];
  const bool inside = id >= 0 && id < a.vocabulary;
  if (!inside && threadIdx.x == 0) *a.bad_id = 1;
  for (int64_t d = threadIdx.x; d < a.dim; d += blockDim.x) {
    const float value = inside ? read(static_cast<const T*>(a.weight), id * a.dim + d) : 0.0f;
    write(static_cast<T*>(a.out), i * a.dim + d, value);
  }
}

/// One block a sorted position; the first of each run of equal ids sums the run.
template <class T>
__global__ void scatter_kernel(VeomniEmbedding a) {
  const int64_t first = blockIdx.x, id = a.ids[first];
  if (first > 0 && a.ids[first - 1] == id) return;
  const int64_t row = a.rows != nullptr ? a.rows[first] : id;
  for (int64_t d = threadIdx.x; d < a.dim; d += blockDim.x) {
    float sum = 0;
    for (int64_t i = first; i < a.count && a.ids[i] == id; ++i) {
      sum += read(static_cast<const T*>(a.grad_out), a.order[i] * a.dim + d);
    }
    a.grad[row * a.dim + d] = sum;
  }
}

}  // namespace

int embedding(const VeomniEmbedding* args, void* stream) {
  if (args->count == 0) return 0;
  return with_scalar(args->scalar, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    VEOMNI_LAUNCH(gather_kernel<T>, blocks(args->count), kThreads, 0, stream, *args);
    return launched();
  });
}

int embedding_backward(const VeomniEmbedding* args, void* stream) {
  if (args->count == 0) return 0;
  return with_scalar(args->scalar, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    VEOMNI_LAUNCH(scatter_kernel<T>, blocks(args->count), kThreads, 0, stream, *args);
    return launched();
  });
}

}  // namespace veomni::cuda
