// Backward of packed attention, probabilities recomputed from the saved log-sum-exp
// (arXiv:2307.08691, section 3.1.2): with P = exp(S − lse), dP = dO Vᵀ, δ = rowsum(dO · O), dS = P
// (dP − δ) / √H:  dV = Pᵀ dO, dQ = dS K, dK = dSᵀ Q. One kernel makes dQ, walking over keys;
// another dK and dV, walking over queries and heads: no atomics, fixed order.
#include <type_traits>

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/functions.h"

namespace veomni::cuda {
namespace {

/// One warp a (token, head).
template <class T>
__global__ void delta_kernel(VeomniAttention a) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
  if (i >= a.tokens * a.query_heads) return;
  float dot = 0;
  for (int64_t d = threadIdx.x % 32; d < a.head_dim; d += 32) {
    const int64_t at = i * a.head_dim + d;
    dot += read(static_cast<const T*>(a.grad_out), at) * read(static_cast<const T*>(a.out), at);
  }
  dot = warp_sum(dot);
  const int64_t token = i / a.query_heads, head = i % a.query_heads;
  if (threadIdx.x % 32 == 0) a.delta[head * a.tokens + token] = dot;
}

template <class T, int kRows, int kDim>
__global__ void __launch_bounds__(kAttentionThreads) query_kernel(VeomniAttention a) {
  VEOMNI_DYNAMIC_SHARED(float, shared);
  constexpr int kFloats = Tile<kRows, kDim>::kFloats, kI = kRows / 16;
  float *q = shared, *grad = q + kFloats, *k = grad + kFloats, *v = k + kFloats, *ds = v + kFloats;
  const VeomniTile tile = a.tiles[blockIdx.x];
  const int head_dim = static_cast<int>(a.head_dim), rows = tile_rows(tile, kRows);
  const int64_t head = blockIdx.y, kv_head = head / (a.query_heads / a.key_value_heads);
  const int64_t out_stride = a.query_heads * a.head_dim;
  const float scale = rsqrtf(static_cast<float>(head_dim));
  const T* keys = static_cast<const T*>(a.k) + kv_head * a.head_dim;
  const T* values = static_cast<const T*>(a.v) + kv_head * a.head_dim;
  load_tile<kRows, kDim>(q,
                         static_cast<const T*>(a.q) + tile.first * a.q_stride + head * a.head_dim,
                         a.q_stride, rows, head_dim, scale);
  load_tile<kRows, kDim>(
      grad, static_cast<const T*>(a.grad_out) + tile.first * out_stride + head * a.head_dim,
      out_stride, rows, head_dim);
  float lse[kI], delta[kI], sum[kI][kDim / 16] = {};
  for (int i = 0; i < kI; ++i) {
    const int row = thread_y() + 16 * i;
    const int64_t at = head * a.tokens + tile.first + row;
    lse[i] = row < rows ? a.lse[at] : INFINITY;  // rows that do not exist get P = 0
    delta[i] = row < rows ? a.delta[at] : 0.0f;
  }
  const int last_key = a.causal ? tile.first + rows : tile.end;
  for (int key = first_key(a, tile); key < last_key; key += kRows) {
    const int present = tile.end - key < kRows ? tile.end - key : kRows;
    __syncthreads();
    load_tile<kRows, kDim>(k, keys + key * a.k_stride, a.k_stride, present, head_dim);
    load_tile<kRows, kDim>(v, values + key * a.v_stride, a.v_stride, present, head_dim);
    __syncthreads();
    float s[kI][kI], dp[kI][kI];
    dot_rows<kRows, kDim>(s, q, k);
    dot_rows<kRows, kDim>(dp, grad, v);
    for (int i = 0; i < kI; ++i) {
      for (int j = 0; j < kI; ++j) {
        const int query = tile.first + thread_y() + 16 * i, at = key + thread_x() + 16 * j;
        s[i][j] = sees(a, tile, query, at) ? expf(s[i][j] - lse[i]) * (dp[i][j] - delta[i]) * scale
                                           : 0.0f;
      }
    }
    store_square<kRows>(ds, s);
    __syncthreads();
    add_product<kRows, kDim>(sum, ds, k);
  }
  store_tile<kRows, kDim>(
      static_cast<T*>(a.grad_q) + tile.first * a.grad_q_stride + head * a.head_dim, a.grad_q_stride,
      rows, head_dim, sum);
}

/// What the dK, dV kernel keeps in shared memory.
template <int kRows, int kDim>
struct KeyShared {
  static constexpr int kFloats = Tile<kRows, kDim>::kFloats;
  static constexpr int kBytes = (4 * kFloats + kRows * (kRows + 1) + 2 * kRows) * sizeof(float);
  float *k, *v, *q, *grad, *square, *lse, *delta;
  __device__ explicit KeyShared(float* shared)
      : k(shared),
        v(k + kFloats),
        q(v + kFloats),
        grad(q + kFloats),
        square(grad + kFloats),
        lse(square + kRows * (kRows + 1)),
        delta(lse + kRows) {}
};

/// Queries first … first + kRows − 1 of one head with their saved sums.
template <class T, int kRows, int kDim>
__device__ void load_queries(KeyShared<kRows, kDim>& shared, const VeomniAttention& a, int64_t head,
                             int first, int end) {
  const int present = end - first < kRows ? end - first : kRows;
  const int head_dim = static_cast<int>(a.head_dim);
  const int64_t out_stride = a.query_heads * a.head_dim;
  load_tile<kRows, kDim>(shared.q,
                         static_cast<const T*>(a.q) + first * a.q_stride + head * head_dim,
                         a.q_stride, present, head_dim);
  load_tile<kRows, kDim>(shared.grad,
                         static_cast<const T*>(a.grad_out) + first * out_stride + head * head_dim,
                         out_stride, present, head_dim);
  for (int i = threadIdx.x; i < kRows; i += kAttentionThreads) {
    shared.lse[i] = i < present ? a.lse[head * a.tokens + first + i] : INFINITY;
    shared.delta[i] = i < present ? a.delta[head * a.tokens + first + i] : 0.0f;
  }
}

/// Adds what the queries in shared memory give to dK and dV of the tile of keys.
template <int kRows, int kDim>
__device__ void add_keys(float (&grad_k)[kRows / 16][kDim / 16],
                         float (&grad_v)[kRows / 16][kDim / 16], KeyShared<kRows, kDim>& shared,
                         const VeomniAttention& a, const VeomniTile& tile, int first_query,
                         float scale) {
  constexpr int kI = kRows / 16;
  float p[kI][kI], dp[kI][kI];  // transposed: rows are keys, columns queries
  dot_rows<kRows, kDim>(p, shared.k, shared.q);
  dot_rows<kRows, kDim>(dp, shared.v, shared.grad);
  for (int i = 0; i < kI; ++i) {
    for (int j = 0; j < kI; ++j) {
      const int key = tile.first + thread_y() + 16 * i, column = thread_x() + 16 * j;
      const int query = first_query + column;
      const bool seen = query < tile.end && sees(a, tile, query, key);
      p[i][j] = seen ? expf(p[i][j] * scale - shared.lse[column]) : 0.0f;
      dp[i][j] = p[i][j] * (dp[i][j] - shared.delta[column]) * scale;
    }
  }
  store_square<kRows>(shared.square, p);
  __syncthreads();
  add_product<kRows, kDim>(grad_v, shared.square, shared.grad);
  __syncthreads();
  store_square<kRows>(shared.square, dp);
  __syncthreads();
  add_product<kRows, kDim>(grad_k, shared.square, shared.q);
}

template <class T, int kRows, int kDim>
__global__ void __launch_bounds__(kAttentionThreads) key_kernel(VeomniAttention a) {
  VEOMNI_DYNAMIC_SHARED(float, raw);
  KeyShared<kRows, kDim> shared(raw);
  const VeomniTile tile = a.tiles[blockIdx.x];
  const int head_dim = static_cast<int>(a.head_dim), rows = tile_rows(tile, kRows);
  const int64_t kv_head = blockIdx.y, group = a.query_heads / a.key_value_heads;
  const float scale = rsqrtf(static_cast<float>(head_dim));
  load_tile<kRows, kDim>(
      shared.k, static_cast<const T*>(a.k) + tile.first * a.k_stride + kv_head * a.head_dim,
      a.k_stride, rows, head_dim);
  load_tile<kRows, kDim>(
      shared.v, static_cast<const T*>(a.v) + tile.first * a.v_stride + kv_head * a.head_dim,
      a.v_stride, rows, head_dim);
  float grad_k[kRows / 16][kDim / 16] = {}, grad_v[kRows / 16][kDim / 16] = {};
  const int last_query =
      a.window > 0 ? least(tile.end, tile.first + rows + a.window - 1) : tile.end;
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    for (int query = a.causal ? tile.first : tile.begin; query < last_query; query += kRows) {
      __syncthreads();
      load_queries<T>(shared, a, head, query, tile.end);
      __syncthreads();
      add_keys(grad_k, grad_v, shared, a, tile, query, scale);
    }
  }
  store_tile<kRows, kDim>(
      static_cast<T*>(a.grad_k) + tile.first * a.grad_k_stride + kv_head * a.head_dim,
      a.grad_k_stride, rows, head_dim, grad_k);
  store_tile<kRows, kDim>(
      static_cast<T*>(a.grad_v) + tile.first * a.grad_v_stride + kv_head * a.head_dim,
      a.grad_v_stride, rows, head_dim, grad_v);
}

template <class T, int kDim>
int run(const VeomniAttention& a, void* stream) {
  constexpr int kRows = kDim <= 64 ? 64 : kDim <= 128 ? 32 : 16;  // veomni_attention_rows
  constexpr int kQueryBytes =
      (4 * Tile<kRows, kDim>::kFloats + kRows * (kRows + 1)) * sizeof(float);
  constexpr int kKeyBytes = KeyShared<kRows, kDim>::kBytes;
  const int64_t warps = kAttentionThreads / 32;
  VEOMNI_LAUNCH(delta_kernel<T>, blocks(ceil_div(a.tokens * a.query_heads, warps)),
                kAttentionThreads, 0, stream, a);
  if (const int code = launched()) return code;
  auto* of_queries = query_kernel<T, kRows, kDim>;
  if (const int code = allow_shared(of_queries, kQueryBytes)) return code;
  VEOMNI_LAUNCH(of_queries, blocks(a.tile_count, a.query_heads), kAttentionThreads, kQueryBytes,
                stream, a);
  if (const int code = launched()) return code;
  auto* of_keys = key_kernel<T, kRows, kDim>;
  if (const int code = allow_shared(of_keys, kKeyBytes)) return code;
  VEOMNI_LAUNCH(of_keys, blocks(a.tile_count, a.key_value_heads), kAttentionThreads, kKeyBytes,
                stream, a);
  return launched();
}

}  // namespace

int attention_backward(const VeomniAttention* args, void* stream) {
  if (!attention_supported(*args)) return kVeomniUnsupported;
  if (args->tile_count == 0) return 0;
  return with_head_dim(*args, [&](auto* type, auto dim) {
    return run<std::remove_pointer_t<decltype(type)>, dim.value>(*args, stream);
  });
}

}  // namespace veomni::cuda
