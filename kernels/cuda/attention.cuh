#pragma once
// Tiles of attention in shared memory (Dao 2023, arXiv:2307.08691): 256 threads as 16 × 16; thread
// (y, x) holds rows y + 16 i and columns x + 16 j of every product. Tiles are f32, their rows one
// element longer than they need be, so that the 16 threads of a row read 16 different banks.

#include "kernels/cuda/common.cuh"

namespace veomni::cuda {

constexpr int kAttentionThreads = 256;

template <int kRows, int kDim>
struct Tile {
  static constexpr int kStride = kDim + 1;
  static constexpr int kFloats = kRows * kStride;
  static constexpr int kI = kRows / 16, kJ = kDim / 16;
};

__device__ inline int thread_y() { return static_cast<int>(threadIdx.x) / 16; }
__device__ inline int thread_x() { return static_cast<int>(threadIdx.x) % 16; }

/// tile[r, d] = source[r · stride + d] · scale; rows from `rows` on and columns from head_dim on
/// are zero.
template <int kRows, int kDim, class T>
__device__ void load_tile(float* tile, const T* source, int64_t stride, int rows, int head_dim,
                          float scale = 1.0f) {
  for (int i = threadIdx.x; i < kRows * kDim; i += kAttentionThreads) {
    const int r = i / kDim, d = i % kDim;
    const bool inside = r < rows && d < head_dim;
    tile[r * Tile<kRows, kDim>::kStride + d] = inside ? scale * read(source, r * stride + d) : 0.0f;
  }
}

/// out[i, j] = Σ_d a[y + 16 i, d] · b[x + 16 j, d]
template <int kRows, int kDim>
__device__ void dot_rows(float (&out)[kRows / 16][kRows / 16], const float* a, const float* b) {
  constexpr int kI = kRows / 16, kStride = Tile<kRows, kDim>::kStride;
  for (int i = 0; i < kI; ++i) {
    for (int j = 0; j < kI; ++j) out[i][j] = 0;
  }
#pragma unroll 4
  for (int d = 0; d < kDim; ++d) {
    float left[kI], right[kI];
#pragma unroll
    for (int i = 0; i < kI; ++i) left[i] = a[(thread_y() + 16 * i) * kStride + d];
#pragma unroll
    for (int j = 0; j < kI; ++j) right[j] = b[(thread_x() + 16 * j) * kStride + d];
#pragma unroll
    for (int i = 0; i < kI; ++i) {
#pragma unroll
      for (int j = 0; j < kI; ++j) out[i][j] += left[i] * right[j];
    }
  }
}

/// sum[i, j] += Σ_n p[y + 16 i, n] · v[n, x + 16 j]; p is [kRows, kRows]
template <int kRows, int kDim>
__device__ void add_product(float (&sum)[kRows / 16][kDim / 16], const float* p, const float* v) {
  constexpr int kI = kRows / 16, kJ = kDim / 16;
#pragma unroll 2
  for (int n = 0; n < kRows; ++n) {
    float left[kI];
#pragma unroll
    for (int i = 0; i < kI; ++i) left[i] = p[(thread_y() + 16 * i) * (kRows + 1) + n];
#pragma unroll
    for (int j = 0; j < kJ; ++j) {
      const float right = v[n * Tile<kRows, kDim>::kStride + thread_x() + 16 * j];
#pragma unroll
      for (int i = 0; i < kI; ++i) sum[i][j] += left[i] * right;
    }
  }
}

/// p[y + 16 i, x + 16 j] = value[i, j]
template <int kRows>
__device__ void store_square(float* p, const float (&value)[kRows / 16][kRows / 16]) {
  for (int i = 0; i < kRows / 16; ++i) {
    for (int j = 0; j < kRows / 16; ++j) {
      p[(thread_y() + 16 * i) * (kRows + 1) + thread_x() + 16 * j] = value[i][j];
    }
  }
}

/// target[r · stride + d] = value · factor for the rows and columns that exist.
template <int kRows, int kDim, class T>
__device__ void store_tile(T* target, int64_t stride, int rows, int head_dim,
                           const float (&value)[kRows / 16][kDim / 16]) {
  for (int i = 0; i < kRows / 16; ++i) {
    const int r = thread_y() + 16 * i;
    for (int j = 0; j < kDim / 16; ++j) {
      const int d = thread_x() + 16 * j;
      if (r < rows && d < head_dim) write(target, r * stride + d, value[i][j]);
    }
  }
}

__device__ inline int tile_rows(const VeomniTile& tile, int most) {
  return tile.end - tile.first < most ? tile.end - tile.first : most;
}

__device__ inline int least(int a, int b) { return a < b ? a : b; }

/// Where keys begin that queries of the tile see.
__device__ inline int first_key(const VeomniAttention& a, const VeomniTile& tile) {
  const int first = tile.first + 1 - a.window;
  return a.window > 0 && first > tile.begin ? first : tile.begin;
}

/// Whether a query of the tile's sample sees the key at or after the sample's begin.
__device__ inline bool sees(const VeomniAttention& a, const VeomniTile& tile, int query, int key) {
  if (key >= tile.end || (a.causal && key > query)) return false;
  return a.window == 0 || query - key < a.window;
}

/// Refuses shapes that no kernel holds.
inline bool attention_supported(const VeomniAttention& a) {
  return a.head_dim >= 1 && a.head_dim <= kVeomniMaxHeadDim && a.key_value_heads >= 1 &&
         a.query_heads % a.key_value_heads == 0 && a.query_heads <= 65535;
}

/// Calls f(type, integral constant) with the padded head size: 32, 64, 128 or 256.
template <class F>
int with_head_dim(const VeomniAttention& a, F f) {
  return with_scalar(a.scalar, [&](auto* type) {
    if (a.head_dim <= 32) return f(type, std::integral_constant<int, 32>{});
    if (a.head_dim <= 64) return f(type, std::integral_constant<int, 64>{});
    if (a.head_dim <= 128) return f(type, std::integral_constant<int, 128>{});
    return f(type, std::integral_constant<int, 256>{});
  });
}

/// More than 48 KiB of shared memory has to be asked for.
template <class Kernel>
int allow_shared(Kernel* kernel, int bytes) {
  return static_cast<int>(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
}

}  // namespace veomni::cuda
