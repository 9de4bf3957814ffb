#pragma once
// What all kernels share: reading f32 and bf16 as f32, sums over a warp or a block in a fixed
// order, checked launches.

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda_table.h"

// Test builds that run kernels on the host define their own versions of these two
// (test/cuda/emulated).
#ifndef VEOMNI_LAUNCH
#define VEOMNI_LAUNCH(kernel, grid, block, bytes, stream, ...) \
  kernel<<<grid, block, bytes, static_cast<cudaStream_t>(stream)>>>(__VA_ARGS__)
#define VEOMNI_DYNAMIC_SHARED(type, name)       \
  extern __shared__ unsigned char raw_##name[]; \
  type* name = reinterpret_cast<type*>(raw_##name)
#endif

namespace veomni::cuda {

constexpr unsigned kFullWarp = 0xffffffffu;

__device__ inline float read(const float* p, int64_t i) { return p[i]; }
__device__ inline float read(const __nv_bfloat16* p, int64_t i) { return __bfloat162float(p[i]); }
__device__ inline void write(float* p, int64_t i, float value) { p[i] = value; }
__device__ inline void write(__nv_bfloat16* p, int64_t i, float value) {
  p[i] = __float2bfloat16(value);
}

/// Every lane gets the sum over `width` neighbouring lanes.
template <class V>
__device__ V warp_sum(V value, int width = 32) {
  for (int step = width / 2; step > 0; step /= 2) {
    value += __shfl_xor_sync(kFullWarp, value, step);
  }
  return value;
}

__device__ inline float warp_max(float value, int width = 32) {
  for (int step = width / 2; step > 0; step /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kFullWarp, value, step));
  }
  return value;
}

/// Every thread gets the block's sum; blocks are whole warps, at most 32 of them. All threads must
/// call.
template <class V>
__device__ V block_sum(V value) {
  __shared__ V of_warp[32];
  const int warp = threadIdx.x / 32;
  value = warp_sum(value);
  if (threadIdx.x % 32 == 0) of_warp[warp] = value;
  __syncthreads();
  V sum = 0;
  for (int w = 0; w < static_cast<int>(blockDim.x) / 32; ++w) sum += of_warp[w];
  __syncthreads();
  return sum;
}

__device__ inline float block_max(float value) {
  __shared__ float of_warp[32];
  value = warp_max(value);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  float largest = of_warp[0];
  for (int w = 1; w < static_cast<int>(blockDim.x) / 32; ++w) largest = fmaxf(largest, of_warp[w]);
  __syncthreads();
  return largest;
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Blocks along x; 2^31 − 1 are allowed, so one block a token always fits.
inline dim3 blocks(int64_t x, int64_t y = 1) {
  return dim3(static_cast<unsigned>(x), static_cast<unsigned>(y));
}

/// What the launch just made answered: a bad configuration or an earlier fault of the device.
inline int launched() { return static_cast<int>(cudaGetLastError()); }

/// Calls `f` with a null pointer of the storage type; other dtypes are refused.
template <class F>
int with_scalar(int32_t scalar, F f) {
  if (scalar == kVeomniF32) return f(static_cast<float*>(nullptr));
  if (scalar == kVeomniBf16) return f(static_cast<__nv_bfloat16*>(nullptr));
  return kVeomniUnsupported;
}

}  // namespace veomni::cuda
