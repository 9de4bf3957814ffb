// Per-head RMSNorm of q and k and their rotation, as Hugging Face's rotate_half:
// kernels/attention.h. Of R rotated dims of a head pair (i, i + R/2) turns by position · theta^(−2i/R),
// or by position · frequency[i]. One warp holds one head of one token.
#include "kernels/cuda/common.cuh"
#include "kernels/cuda/functions.h"

namespace veomni::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kPairs = kVeomniMaxHeadDim / 2 / 32;  // of one lane, at most

struct Turns {
  float cosine[kVeomniMaxHeadDim / 2], sine[kVeomniMaxHeadDim / 2];
};

/// Where the two elements of pair i stand in a head: pairs that turn first, then those of the rest, which do not.
struct Pairs {
  int turned, half;  ///< R/2, H/2
  __device__ explicit Pairs(const VeomniRope& a)
      : turned(static_cast<int>(a.rotary_dims / 2)), half(static_cast<int>(a.head_dim / 2)) {}
  __device__ int low(int i) const { return i < turned ? i : turned + i; }
  __device__ int high(int i) const { return i < turned ? turned + i : half + i; }
};

/// Angles in f64: at position 10^6 an f32 product is off by a tenth of a radian.
__device__ void load_turns(Turns& turns, const VeomniRope& a, int64_t t) {
  for (int i = threadIdx.x; i < a.head_dim / 2; i += kThreads) {
    double sine = 0, cosine = 1, scale = 1;
    if (a.theta > 0 && i < a.rotary_dims / 2) {
      const double frequency = a.frequency != nullptr
                                   ? a.frequency[t * a.frequency_row + i]
                                   : pow(a.theta, -2.0 * i / static_cast<double>(a.rotary_dims));
      sincos(static_cast<double>(a.positions[t]) * frequency, &sine, &cosine);
      scale = a.turn_scale;
    }
    turns.cosine[i] = static_cast<float>(scale * cosine);
    turns.sine[i] = static_cast<float>(scale * sine);
  }
}

template <class T>
__device__ void load_head(float (&low)[kPairs], float (&high)[kPairs], const T* head,
                          const Pairs& pairs) {
  for (int j = 0, i = threadIdx.x % 32; j < kPairs; ++j, i += 32) {
    low[j] = i < pairs.half ? read(head, pairs.low(i)) : 0.0f;
    high[j] = i < pairs.half ? read(head, pairs.high(i)) : 0.0f;
  }
}

template <class T>
__device__ void store_head(T* head, const float (&low)[kPairs], const float (&high)[kPairs],
                           const Pairs& pairs) {
  for (int j = 0, i = threadIdx.x % 32; j < kPairs; ++j, i += 32) {
    if (i >= pairs.half) break;
    write(head, pairs.low(i), low[j]);
    write(head, pairs.high(i), high[j]);
  }
}

__device__ float inverse_rms(const float (&low)[kPairs], const float (&high)[kPairs],
                             const VeomniRope& a) {
  float square = 0;
  for (int j = 0; j < kPairs; ++j) square += low[j] * low[j] + high[j] * high[j];
  return rsqrtf(warp_sum(square) / static_cast<float>(a.head_dim) + a.epsilon);
}

template <class T>
__global__ void forward_kernel(VeomniRope a) {
  __shared__ Turns turns;
  const int64_t t = blockIdx.x, heads = a.query_heads + a.key_value_heads;
  const Pairs pairs(a);
  const int half = pairs.half, lane = threadIdx.x % 32;
  load_turns(turns, a, t);
  __syncthreads();
  const T* from = static_cast<const T*>(a.qkv) + t * (heads + a.key_value_heads) * a.head_dim;
  T* to = static_cast<T*>(a.qk) + t * heads * a.head_dim;
  for (int64_t head = threadIdx.x / 32; head < heads; head += kWarps) {
    const T* weight = static_cast<const T*>(head < a.query_heads ? a.q_weight : a.k_weight);
    float low[kPairs], high[kPairs];
    load_head(low, high, from + head * a.head_dim, pairs);
    const float rms = weight != nullptr ? inverse_rms(low, high, a) : 1.0f;
    for (int j = 0, i = lane; i < half; ++j, i += 32) {
      const float x = low[j] * rms * (weight != nullptr ? read(weight, pairs.low(i)) : 1.0f);
      const float y = high[j] * rms * (weight != nullptr ? read(weight, pairs.high(i)) : 1.0f);
      low[j] = x * turns.cosine[i] - y * turns.sine[i];
      high[j] = y * turns.cosine[i] + x * turns.sine[i];
    }
    store_head(to + head * a.head_dim, low, high, pairs);
  }
}

/// Gradient of one head behind its norm: `low`, `high` hold the gradient and get the result; sums
/// the weight's.
template <class T>
__device__ void norm_backward(float (&low)[kPairs], float (&high)[kPairs], const T* head,
                              const T* weight, float (&sums)[2 * kPairs], const VeomniRope& a) {
  const Pairs pairs(a);
  float x[kPairs], y[kPairs];
  load_head(x, y, head, pairs);
  const float rms = inverse_rms(x, y, a);
  float dot = 0;
  for (int j = 0, i = threadIdx.x % 32; i < pairs.half; ++j, i += 32) {
    x[j] *= rms;
    y[j] *= rms;
    sums[j] += low[j] * x[j];
    sums[kPairs + j] += high[j] * y[j];
    low[j] *= read(weight, pairs.low(i));
    high[j] *= read(weight, pairs.high(i));
    dot += low[j] * x[j] + high[j] * y[j];
  }
  const float mean = warp_sum(dot) / static_cast<float>(a.head_dim);
  for (int j = 0; j < kPairs; ++j) {
    low[j] = rms * (low[j] - x[j] * mean);
    high[j] = rms * (high[j] - y[j] * mean);
  }
}

/// Adds up the warps' weight gradients, warp by warp, and stores this block's row of partial sums.
__device__ void store_partial(const float (&sums)[2 * kPairs], float* partial, const Pairs& pairs) {
  __shared__ float of_warp[kWarps][kVeomniMaxHeadDim];
  const int warp = threadIdx.x / 32;
  for (int j = 0, i = threadIdx.x % 32; i < pairs.half; ++j, i += 32) {
    of_warp[warp][pairs.low(i)] = sums[j];
    of_warp[warp][pairs.high(i)] = sums[kPairs + j];
  }
  __syncthreads();
  for (int d = threadIdx.x; d < 2 * pairs.half; d += kThreads) {
    float sum = 0;
    for (int w = 0; w < kWarps; ++w) sum += of_warp[w][d];
    partial[d] = sum;
  }
  __syncthreads();
}

/// One block a run of tokens, so that weight gradients are summed in one order.
template <class T>
__global__ void backward_kernel(VeomniRope a, int64_t rows_each) {
  __shared__ Turns turns;
  const int64_t heads = a.query_heads + a.key_value_heads;
  const Pairs pairs(a);
  const int half = pairs.half, lane = threadIdx.x % 32;
  const int64_t first = blockIdx.x * rows_each;
  const int64_t last = first + rows_each < a.tokens ? first + rows_each : a.tokens;
  float q_sums[2 * kPairs] = {}, k_sums[2 * kPairs] = {};
  for (int64_t t = first; t < last; ++t) {
    __syncthreads();
    load_turns(turns, a, t);
    __syncthreads();
    const int64_t row = t * (heads + a.key_value_heads) * a.head_dim;
    for (int64_t head = threadIdx.x / 32; head < heads; head += kWarps) {
      const int64_t at = row + head * a.head_dim;
      float low[kPairs], high[kPairs];
      load_head(low, high, static_cast<const T*>(a.grad_qk) + (t * heads + head) * a.head_dim,
                pairs);
      for (int j = 0, i = lane; i < half; ++j, i += 32) {
        const float x = low[j], y = high[j];
        low[j] = x * turns.cosine[i] + y * turns.sine[i];
        high[j] = y * turns.cosine[i] - x * turns.sine[i];
      }
      const bool query = head < a.query_heads;
      const T* weight = static_cast<const T*>(query ? a.q_weight : a.k_weight);
      const T* input = static_cast<const T*>(a.qkv) + at;
      if (weight != nullptr && query) norm_backward(low, high, input, weight, q_sums, a);
      if (weight != nullptr && !query) norm_backward(low, high, input, weight, k_sums, a);
      store_head(static_cast<T*>(a.grad_qkv) + at, low, high, pairs);
    }
  }
  if (a.partial == nullptr) return;
  float* partial = a.partial + blockIdx.x * 2 * a.head_dim;
  store_partial(q_sums, partial, pairs);
  store_partial(k_sums, partial + a.head_dim, pairs);
}

/// One thread an element; block 0 sums q's weight gradient, block 1 k's.
template <class T>
__global__ void weight_gradient_kernel(VeomniRope a, int64_t partial_rows) {
  T* out = static_cast<T*>(blockIdx.x == 0 ? a.grad_q_weight : a.grad_k_weight);
  const int64_t d = threadIdx.x;
  if (out == nullptr || d >= a.head_dim) return;
  float sum = 0;
  for (int64_t row = 0; row < partial_rows; ++row) {
    sum += a.partial[(row * 2 + blockIdx.x) * a.head_dim + d];
  }
  write(out, d, sum);
}

bool supported(const VeomniRope& a) {
  return a.head_dim >= 2 && a.head_dim % 2 == 0 && a.head_dim <= kVeomniMaxHeadDim &&
         a.rotary_dims >= 0 && a.rotary_dims % 2 == 0 && a.rotary_dims <= a.head_dim;
}

}  // namespace

int rope(const VeomniRope* args, void* stream) {
  if (!supported(*args)) return kVeomniUnsupported;
  if (args->tokens == 0) return 0;
  return with_scalar(args->scalar, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    VEOMNI_LAUNCH(forward_kernel<T>, blocks(args->tokens), kThreads, 0, stream, *args);
    return launched();
  });
}

int rope_backward(const VeomniRope* args, void* stream) {
  if (!supported(*args)) return kVeomniUnsupported;
  const int64_t rows = veomni_partial_rows(args->tokens);
  return with_scalar(args->scalar, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    VEOMNI_LAUNCH(backward_kernel<T>, blocks(rows), kThreads, 0, stream, *args,
                  ceil_div(args->tokens, rows));
    if (const int code = launched()) return code;
    if (args->partial == nullptr) return 0;
    VEOMNI_LAUNCH(weight_gradient_kernel<T>, blocks(2), kThreads, 0, stream, *args, rows);
    return launched();
  });
}

}  // namespace veomni::cuda
