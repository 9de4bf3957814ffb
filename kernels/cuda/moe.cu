// Token permutation of mixture-of-experts layers: kernels/moe.h. The sort is stable and the same on
// every run.
#include "kernels/cuda/common.cuh"
#include "kernels/cuda/functions.h"

namespace veomni::cuda {
namespace {

constexpr int kThreads = 128, kRun = 1024;  // kRun entries a block: veomni_moe_blocks

__device__ int expert_of(const VeomniMoeSort& a, int64_t entry) {
  if (entry >= a.count) return -1;
  const int64_t expert = a.chosen[entry];
  return expert >= 0 && expert < a.experts ? static_cast<int>(expert) : -1;
}

/// One warp a run: partial[run, e] = how often e was chosen in it.
__global__ void count_kernel(VeomniMoeSort a) {
  VEOMNI_DYNAMIC_SHARED(int32_t, counts);
  for (int64_t e = threadIdx.x; e < a.experts; e += 32) counts[e] = 0;
  __syncwarp();
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kRun;
  for (int64_t i = first + threadIdx.x; i < first + kRun; i += 32) {
    const int expert = expert_of(a, i);
    if (expert >= 0) atomicAdd(&counts[expert], 1);
  }
  __syncwarp();
  for (int64_t e = threadIdx.x; e < a.experts; e += 32) {
    a.partial[blockIdx.x * a.experts + e] = counts[e];
  }
}

/// One block: partial[run, e] becomes the count of e in earlier runs, offsets the running sum of
/// totals.
__global__ void scan_kernel(VeomniMoeSort a, int64_t runs) {
  VEOMNI_DYNAMIC_SHARED(int32_t, totals);
  for (int64_t e = threadIdx.x; e < a.experts; e += blockDim.x) {
    int32_t before = 0;
    for (int64_t run = 0; run < runs; ++run) {
      const int32_t here = a.partial[run * a.experts + e];
      a.partial[run * a.experts + e] = before;
      before += here;
    }
    totals[e] = before;
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  int32_t sum = 0;
  for (int64_t e = 0; e < a.experts; ++e) {
    a.offsets[e] = sum;
    sum += totals[e];
  }
  a.offsets[a.experts] = sum;
}

/// One warp a run, 32 entries at a time in order; lanes with the same expert take neighbouring
/// rows.
__global__ void place_kernel(VeomniMoeSort a) {
  VEOMNI_DYNAMIC_SHARED(int32_t, next);
  for (int64_t e = threadIdx.x; e < a.experts; e += 32) {
    next[e] = a.offsets[e] + a.partial[blockIdx.x * a.experts + e];
  }
  __syncwarp();
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kRun;
  for (int64_t start = first; start < first + kRun && start < a.count; start += 32) {
    const int64_t entry = start + threadIdx.x;
    const int expert = expert_of(a, entry);
    const unsigned peers = __match_any_sync(kFullWarp, expert);
    const int rank = __popc(peers & ((1u << threadIdx.x) - 1));
    const int32_t row = expert >= 0 ? next[expert] + rank : -1;
    __syncwarp();
    if (expert >= 0 && rank == 0) next[expert] += __popc(peers);
    __syncwarp();
    if (entry < a.count) a.inverse[entry] = row;
    if (row >= 0) a.order[row] = static_cast<int32_t>(entry);
  }
}

template <class T>
__global__ void gather_kernel(VeomniMoe a) {
  const int64_t row = blockIdx.x, token = a.order[row] / a.per_token;
  for (int64_t d = threadIdx.x; d < a.dim; d += blockDim.x) {
    static_cast<T*>(a.out)[row * a.dim + d] = static_cast<const T*>(a.x)[token * a.dim + d];
  }
}

template <class T>
__global__ void combine_kernel(VeomniMoe a) {
  const int64_t token = blockIdx.x;
  for (int64_t d = threadIdx.x; d < a.dim; d += blockDim.x) {
    float sum = 0;
    for (int64_t j = 0; j < a.per_token; ++j) {
      const int64_t entry = token * a.per_token + j;
      const float gate = a.gates != nullptr ? read(static_cast<const T*>(a.gates), entry) : 1.0f;
      sum += gate * read(static_cast<const T*>(a.x), a.inverse[entry] * a.dim + d);
    }
    write(static_cast<T*>(a.out), token * a.dim + d, sum);
  }
}

/// One block an entry: its row's gradient, and its gate's.
template <class T>
__global__ void combine_backward_kernel(VeomniMoe a) {
  const int64_t entry = blockIdx.x, token = entry / a.per_token, row = a.inverse[entry];
  const T* grad_out = static_cast<const T*>(a.grad_out) + token * a.dim;
  const float gate = read(static_cast<const T*>(a.gates), entry);
  float dot = 0;
  for (int64_t d = threadIdx.x; d < a.dim; d += blockDim.x) {
    const float grad = read(grad_out, d);
    dot += grad * read(static_cast<const T*>(a.x), row * a.dim + d);
    write(static_cast<T*>(a.grad_rows), row * a.dim + d, gate * grad);
  }
  dot = block_sum(dot);
  if (threadIdx.x == 0) write(static_cast<T*>(a.grad_gates), entry, dot);
}

}  // namespace

int moe_sort(const VeomniMoeSort* args, void* stream) {
  if (args->experts < 1 || args->experts > kVeomniMaxExperts || args->count > INT32_MAX) {
    return kVeomniUnsupported;
  }
  const int64_t runs = veomni_moe_blocks(args->count);
  const size_t bytes = static_cast<size_t>(args->experts) * sizeof(int32_t);
  VEOMNI_LAUNCH(count_kernel, blocks(runs), 32, bytes, stream, *args);
  if (const int code = launched()) return code;
  VEOMNI_LAUNCH(scan_kernel, blocks(1), 1024, bytes, stream, *args, runs);
  if (const int code = launched()) return code;
  VEOMNI_LAUNCH(place_kernel, blocks(runs), 32, bytes, stream, *args);
  return launched();
}

int moe_gather(const VeomniMoe* args, void* stream) {
  const int64_t rows = args->tokens * args->per_token;
  if (rows == 0) return 0;
  return with_scalar(args->scalar, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    VEOMNI_LAUNCH(gather_kernel<T>, blocks(rows), kThreads, 0, stream, *args);
    return launched();
  });
}

int moe_combine(const VeomniMoe* args, void* stream) {
  if (args->tokens == 0) return 0;
  return with_scalar(args->scalar, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    VEOMNI_LAUNCH(combine_kernel<T>, blocks(args->tokens), kThreads, 0, stream, *args);
    return launched();
  });
}

int moe_combine_backward(const VeomniMoe* args, void* stream) {
  const int64_t rows = args->tokens * args->per_token;
  if (rows == 0) return 0;
  return with_scalar(args->scalar, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    VEOMNI_LAUNCH(combine_backward_kernel<T>, blocks(rows), kThreads, 0, stream, *args);
    return launched();
  });
}

}  // namespace veomni::cuda
