// silu(gate) · up and its gradient.
#include "kernels/cpu/vector.h"

namespace veomni::kernels::VEOMNI_ISA {
namespace {

template <class T>
void forward(const SwigluArgs& args, int64_t begin, int64_t end) {
  const int64_t width = args.width;
  for (int64_t t = begin; t < end; ++t) {
    const T* gate = static_cast<const T*>(args.gate_up) + t * 2 * width;
    const T* up = gate + width;
    T* y = static_cast<T*>(args.y) + t * width;
#pragma omp simd
    for (int64_t f = 0; f < width; ++f) {
      const float g = to_float(gate[f]);
      store(y + f, g * sigmoid(g) * to_float(up[f]));
    }
  }
}

template <class T, bool kAgain>
void backward(const SwigluArgs& args, int64_t begin, int64_t end) {
  const int64_t width = args.width;
  for (int64_t t = begin; t < end; ++t) {
    const T* gate = static_cast<const T*>(args.gate_up) + t * 2 * width;
    const T* up = gate + width;
    const T* d_y = static_cast<const T*>(args.d_y) + t * width;
    T* d_gate = static_cast<T*>(args.d_gate_up) + t * 2 * width;
    T* d_up = d_gate + width;
    T* y = kAgain ? static_cast<T*>(args.y) + t * width : nullptr;
#pragma omp simd
    for (int64_t f = 0; f < width; ++f) {
      const float g = to_float(gate[f]), s = sigmoid(g), d = to_float(d_y[f]), u = to_float(up[f]);
      store(d_gate + f, d * u * s * (1.f + g * (1.f - s)));
      store(d_up + f, d * g * s);
      if constexpr (kAgain) store(y + f, g * s * u);
    }
  }
}

void swiglu_forward(const SwigluArgs& args, int64_t begin, int64_t end) {
  args.scalar == Scalar::f32 ? forward<float>(args, begin, end) : forward<Bf16>(args, begin, end);
}

void swiglu_backward(const SwigluArgs& args, int64_t begin, int64_t end) {
  const bool f32 = args.scalar == Scalar::f32;
  if (args.y)
    f32 ? backward<float, true>(args, begin, end) : backward<Bf16, true>(args, begin, end);
  else
    f32 ? backward<float, false>(args, begin, end) : backward<Bf16, false>(args, begin, end);
}

template <class T>
void expert_backward(const MoeArgs& args, int64_t begin, int64_t end) {
  const int64_t width = args.width;
  for (int64_t r = begin; r < end; ++r) {
    const T* gate = static_cast<const T*>(args.gate_up) + r * 2 * width;
    const T* up = gate + width;
    const T* d_hidden = static_cast<const T*>(args.d_hidden) + r * width;
    T* hidden = static_cast<T*>(args.hidden) + r * width;
    T* d_gate = static_cast<T*>(args.d_gate_up) + r * 2 * width;
    T* d_up = d_gate + width;
    const float weight = args.gates[r];
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t f = 0; f < width; ++f) {
      const float g = to_float(gate[f]), s = sigmoid(g), u = to_float(up[f]);
      const float raw = to_float(d_hidden[f]), d = raw * weight, activated = g * s * u;
      dot += raw * activated;
      store(hidden + f, weight * activated);
      store(d_gate + f, d * u * s * (1.f + g * (1.f - s)));
      store(d_up + f, d * g * s);
    }
    args.d_gates[r] = dot;
  }
}

void moe_backward(const MoeArgs& args, int64_t begin, int64_t end) {
  args.scalar == Scalar::f32 ? expert_backward<float>(args, begin, end)
                             : expert_backward<Bf16>(args, begin, end);
}

}  // namespace

void fill_activation(Loops& loops) {
  loops.swiglu_forward = swiglu_forward;
  loops.swiglu_backward = swiglu_backward;
  loops.moe_backward = moe_backward;
}

}  // namespace veomni::kernels::VEOMNI_ISA
