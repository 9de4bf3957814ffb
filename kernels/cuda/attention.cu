// Forward of packed attention: kernels/attention.h. One block holds a tile of queries of one head
// and walks over its sample's keys, keeping the running maximum m and sum l of each row (Milakov &
// Gimelshein 2018, arXiv:1805.02867).
#include <type_traits>

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/functions.h"

namespace veomni::cuda {
namespace {

/// Scores of masked pairs become −∞. Every row sees a key of the first tile it meets.
template <int kRows>
__device__ void mask(float (&s)[kRows / 16][kRows / 16], const VeomniAttention& a,
                     const VeomniTile& tile, int first_key) {
  for (int i = 0; i < kRows / 16; ++i) {
    const int query = tile.first + thread_y() + 16 * i;
    for (int j = 0; j < kRows / 16; ++j) {
      const int key = first_key + thread_x() + 16 * j;
      if (!sees(a, tile, query, key)) s[i][j] = -INFINITY;
    }
  }
}

/// Turns scores into exp(s − m) and brings m, l and the output so far up to date.
template <int kRows, int kDim>
__device__ void softmax_step(float (&s)[kRows / 16][kRows / 16],
                             float (&out)[kRows / 16][kDim / 16], float (&m)[kRows / 16],
                             float (&l)[kRows / 16]) {
  for (int i = 0; i < kRows / 16; ++i) {
    float largest = m[i];
    for (int j = 0; j < kRows / 16; ++j) largest = fmaxf(largest, s[i][j]);
    largest = warp_max(largest, 16);
    const float correction = expf(m[i] - largest);  // 0 on the first tile
    float sum = 0;
    for (int j = 0; j < kRows / 16; ++j) {
      s[i][j] = expf(s[i][j] - largest);
      sum += s[i][j];
    }
    l[i] = l[i] * correction + warp_sum(sum, 16);
    m[i] = largest;
    for (int j = 0; j < kDim / 16; ++j) out[i][j] *= correction;
  }
}

template <class T, int kRows, int kDim>
__global__ void __launch_bounds__(kAttentionThreads) forward_kernel(VeomniAttention a) {
  VEOMNI_DYNAMIC_SHARED(float, shared);
  float *q = shared, *kv = q + Tile<kRows, kDim>::kFloats, *p = kv + Tile<kRows, kDim>::kFloats;
  const VeomniTile tile = a.tiles[blockIdx.x];
  const int head_dim = static_cast<int>(a.head_dim), rows = tile_rows(tile, kRows);
  const int64_t head = blockIdx.y, kv_head = head / (a.query_heads / a.key_value_heads);
  const T* keys = static_cast<const T*>(a.k) + kv_head * a.head_dim;
  const T* values = static_cast<const T*>(a.v) + kv_head * a.head_dim;
  load_tile<kRows, kDim>(q,
                         static_cast<const T*>(a.q) + tile.first * a.q_stride + head * a.head_dim,
                         a.q_stride, rows, head_dim, rsqrtf(static_cast<float>(head_dim)));
  float out[kRows / 16][kDim / 16] = {}, m[kRows / 16], l[kRows / 16];
  for (int i = 0; i < kRows / 16; ++i) m[i] = -INFINITY, l[i] = 0;
  const int last_key = a.causal ? tile.first + rows : tile.end;
  for (int key = first_key(a, tile); key < last_key; key += kRows) {
    const int present = tile.end - key < kRows ? tile.end - key : kRows;
    __syncthreads();
    load_tile<kRows, kDim>(kv, keys + key * a.k_stride, a.k_stride, present, head_dim);
    __syncthreads();
    float s[kRows / 16][kRows / 16];
    dot_rows<kRows, kDim>(s, q, kv);
    mask<kRows>(s, a, tile, key);
    softmax_step<kRows, kDim>(s, out, m, l);
    store_square<kRows>(p, s);
    __syncthreads();
    load_tile<kRows, kDim>(kv, values + key * a.v_stride, a.v_stride, present, head_dim);
    __syncthreads();
    add_product<kRows, kDim>(out, p, kv);
  }
  for (int i = 0; i < kRows / 16; ++i) {
    const int row = thread_y() + 16 * i;
    for (int j = 0; j < kDim / 16; ++j) out[i][j] /= l[i];
    if (row < rows && thread_x() == 0)
      a.lse[head * a.tokens + tile.first + row] = m[i] + logf(l[i]);
  }
  const int64_t out_stride = a.query_heads * a.head_dim;
  store_tile<kRows, kDim>(static_cast<T*>(a.out) + tile.first * out_stride + head * a.head_dim,
                          out_stride, rows, head_dim, out);
}

template <class T, int kDim>
int run(const VeomniAttention& a, void* stream) {
  constexpr int kRows = kDim <= 128 ? 64 : 32;  // veomni_attention_rows
  constexpr int kBytes = (2 * Tile<kRows, kDim>::kFloats + kRows * (kRows + 1)) * sizeof(float);
  auto* kernel = forward_kernel<T, kRows, kDim>;
  if (const int code = allow_shared(kernel, kBytes)) return code;
  VEOMNI_LAUNCH(kernel, blocks(a.tile_count, a.query_heads), kAttentionThreads, kBytes, stream, a);
  return launched();
}

}  // namespace

int attention(const VeomniAttention* args, void* stream) {
  if (!attention_supported(*args)) return kVeomniUnsupported;
  if (args->tile_count == 0) return 0;
  return with_head_dim(*args, [&](auto* type, auto dim) {
    return run<std::remove_pointer_t<decltype(type)>, dim.value>(*args, stream);
  });
}

}  // namespace veomni::cuda
