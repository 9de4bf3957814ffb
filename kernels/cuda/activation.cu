// SwiGLU: kernels/activation.h. With σ = sigmoid(gate): silu = gate · σ, silu' = σ (1 + gate (1 −
// σ)).
#include "kernels/cuda/common.cuh"
#include "kernels/cuda/functions.h"

namespace veomni::cuda {
namespace {

constexpr int kThreads = 256;

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

template <class T>
__global__ void forward_kernel(VeomniSwiglu a) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= a.tokens * a.width) return;
  const int64_t gate_at = i / a.width * 2 * a.width + i % a.width;
  const T* gate_up = static_cast<const T*>(a.gate_up);
  const float gate = read(gate_up, gate_at);
  write(static_cast<T*>(a.out), i, gate * sigmoid(gate) * read(gate_up, gate_at + a.width));
}

template <class T>
__global__ void backward_kernel(VeomniSwiglu a) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= a.tokens * a.width) return;
  const int64_t gate_at = i / a.width * 2 * a.width + i % a.width;
  const T* gate_up = static_cast<const T*>(a.gate_up);
  const float gate = read(gate_up, gate_at), up = read(gate_up, gate_at + a.width);
  const float grad = read(static_cast<const T*>(a.grad_out), i), s = sigmoid(gate);
  T* out = static_cast<T*>(a.grad_gate_up);
  write(out, gate_at, grad * up * s * (1.0f + gate * (1.0f - s)));
  write(out, gate_at + a.width, grad * gate * s);
}

}  // namespace

int swiglu(const VeomniSwiglu* args, void* stream) {
  const int64_t count = args->tokens * args->width;
  if (count == 0) return 0;
  return with_scalar(args->scalar, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    VEOMNI_LAUNCH(forward_kernel<T>, blocks(ceil_div(count, kThreads)), kThreads, 0, stream, *args);
    return launched();
  });
}

int swiglu_backward(const VeomniSwiglu* args, void* stream) {
  const int64_t count = args->tokens * args->width;
  if (count == 0) return 0;
  return with_scalar(args->scalar, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    VEOMNI_LAUNCH(backward_kernel<T>, blocks(ceil_div(count, kThreads)), kThreads, 0, stream,
                  *args);
    return launched();
  });
}

}  // namespace veomni::cuda
