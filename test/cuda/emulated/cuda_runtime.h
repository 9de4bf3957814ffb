#pragma once
// What our kernels use of CUDA, on the host: device memory is host memory, a launch runs its blocks
// one after the other, and a block's threads are fibers that change at barriers and warp operations
// (emulator.cpp). It makes the kernels' logic testable where there is no GPU: indices, masks,
// barriers, reductions; not speed, nor the memory model.

#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(threads)
#define __shared__ static

struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};
struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace emulated {
extern uint3 thread_index, block_index;
extern dim3 block_size, grid_size;
extern unsigned char* dynamic_shared;
void launch(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& thread);
void wait_for_block();
void wait_for_warp();
/// Every lane gives 8 bytes and may read all 32 until it calls release_lanes.
const uint64_t* exchange_lanes(uint64_t mine);
void release_lanes();
}  // namespace emulated

#define threadIdx (::emulated::thread_index)
#define blockIdx (::emulated::block_index)
#define blockDim (::emulated::block_size)
#define gridDim (::emulated::grid_size)
#define VEOMNI_LAUNCH(kernel, grid, block, bytes, stream, ...) \
  ((void)(stream), ::emulated::launch(grid, block, bytes, [=] { kernel(__VA_ARGS__); }))
#define VEOMNI_DYNAMIC_SHARED(type, name) \
  type* name = reinterpret_cast<type*>(::emulated::dynamic_shared)

inline void __syncthreads() { emulated::wait_for_block(); }
inline void __syncwarp() { emulated::wait_for_warp(); }

template <class V>
V __shfl_xor_sync(unsigned, V value, int step) {
  uint64_t mine = 0;
  std::memcpy(&mine, &value, sizeof value);
  const uint64_t theirs = emulated::exchange_lanes(mine)[(threadIdx.x % 32) ^ step];
  emulated::release_lanes();
  std::memcpy(&value, &theirs, sizeof value);
  return value;
}

inline unsigned __match_any_sync(unsigned, int value) {
  const uint64_t* lanes = emulated::exchange_lanes(static_cast<uint64_t>(value));
  unsigned same = 0;
  for (int lane = 0; lane < 32; ++lane) {
    same |= static_cast<unsigned>(lanes[lane] == static_cast<uint64_t>(value)) << lane;
  }
  emulated::release_lanes();
  return same;
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }

template <class V>
V atomicAdd(V* at, V value) {
  const V old = *at;
  *at = old + value;
  return old;
}
template <class V>
V atomicMin(V* at, V value) {
  const V old = *at;
  if (value < old) *at = value;
  return old;
}

enum cudaError_t { cudaSuccess = 0, cudaErrorMemoryAllocation = 2 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
using cudaStream_t = void*;
struct cudaDeviceProp {
  char name[256];
  int major, minor;
};

inline cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  *pointer = std::malloc(bytes);
  return *pointer != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}
inline cudaError_t cudaFree(void* pointer) { return std::free(pointer), cudaSuccess; }
inline cudaError_t cudaMemset(void* pointer, int byte, size_t bytes) {
  return std::memset(pointer, byte, bytes), cudaSuccess;
}
inline cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  return std::memcpy(to, from, bytes), cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return "no text: emulated"; }
inline cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return *free = *total = size_t{1} << 30, cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  return *properties = {"emulated", 8, 0}, cudaSuccess;
}
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel*, cudaFuncAttribute, int bytes) {
  // The least that GPUs from compute capability 8.0 on give a block.
  return bytes <= 99 * 1024 ? cudaSuccess : cudaErrorMemoryAllocation;
}
