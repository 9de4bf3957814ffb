#include "kernels/activation.h"

#include <torch/types.h>

#include "kernels/check.h"
#include "kernels/cpu/fused.h"
#include "kernels/cuda_fused.h"
#include "kernels/reference.h"

namespace veomni::kernels {
namespace {

void check_gate_up(const char* where, const at::Tensor& gate_up) {
  check_input(where, "gate_up", gate_up);
  TORCH_CHECK(gate_up.dim() == 2 && gate_up.size(1) % 2 == 0 && gate_up.size(1) > 0, where,
              ": gate_up has shape ", gate_up.sizes(), ", must have [tokens, 2 * width]");
}

at::Tensor apply(const at::Tensor& x, Activation function) {
  constexpr double kQuick = 1.702;
  switch (function) {
    case Activation::silu:
      return at::silu(x);
    case Activation::gelu:
      return at::gelu(x);
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::quick_gelu:
      return at::silu(x * kQuick) / kQuick;
    default:
      return at::relu(x);
  }
}

/// bf16 is computed in f32, so that composed functions round once.
at::Tensor widen(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 ? x.to(at::kFloat) : x;
}

}  // namespace

at::Tensor swiglu(const at::Tensor& gate_up) {
  check_gate_up("swiglu", gate_up);
  switch (backend(gate_up)) {
    case Backend::cpu:
      return cpu::swiglu(gate_up);
    case Backend::cuda:
      return cuda::swiglu(gate_up);
    default:
      return reference::swiglu(gate_up);
  }
}

at::Tensor activate(const at::Tensor& x, Activation function) {
  check_input("activate", "x", x);
  if (function != Activation::quick_gelu) return apply(x, function);
  return apply(widen(x), function).to(x.scalar_type());
}

at::Tensor gated(const at::Tensor& gate_up, Activation function) {
  if (function == Activation::silu) return swiglu(gate_up);
  check_gate_up("gated", gate_up);
  const int64_t width = gate_up.size(1) / 2;
  const at::Tensor wide = widen(gate_up);
  return (apply(wide.narrow(1, 0, width), function) * wide.narrow(1, width, width))
      .to(gate_up.scalar_type());
}

}  // namespace veomni::kernels
