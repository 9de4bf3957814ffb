#include "kernels/swiglu_linear.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include "kernels/activation.h"
#include "kernels/check.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/matrix.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cuda_ops.h"

namespace veomni::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The activation again, and the gradient of what it was made of.
struct Again {
  at::Tensor hidden, d_gate_up;
};

Again again_on_cpu(const at::Tensor& gate_up, const at::Tensor& d_hidden) {
  Again made{at::empty_like(d_hidden), at::empty_like(gate_up)};
  SwigluArgs args;
  args.scalar = scalar_of(gate_up);
  args.width = d_hidden.size(1);
  args.gate_up = gate_up.const_data_ptr();
  args.d_y = d_hidden.const_data_ptr();
  args.d_gate_up = made.d_gate_up.mutable_data_ptr();
  args.y = made.hidden.mutable_data_ptr();
  for_rows(gate_up.size(0), gate_up.size(1),
           [&](int64_t begin, int64_t end) { loops().swiglu_backward(args, begin, end); });
  return made;
}

Again again_by_operators(const at::Tensor& gate_up, const at::Tensor& d_hidden) {
  const int64_t width = d_hidden.size(1);
  const at::Tensor gate = gate_up.narrow(1, 0, width), up = gate_up.narrow(1, width, width);
  const at::Tensor sigma = gate.sigmoid(), silu = gate * sigma;
  const at::Tensor d_gate = d_hidden * up * sigma * (1 + gate * (1 - sigma));
  return {silu * up, at::cat({d_gate, d_hidden * silu}, 1)};
}

Again again(const at::Tensor& gate_up, const at::Tensor& d_hidden) {
  switch (backend(gate_up)) {
    case Backend::cpu:
      return again_on_cpu(gate_up, d_hidden);
    case Backend::cuda:
      return {swiglu_forward_cuda(gate_up), swiglu_backward_cuda(d_hidden, gate_up)};
    default:
      return again_by_operators(gate_up, d_hidden);
  }
}

struct SwigluLinear : torch::autograd::Function<SwigluLinear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate_up,
                            const at::Tensor& weight) {
    context->save_for_backward({gate_up, weight});
    return cpu::matrix_product(swiglu(gate_up), weight.t());
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor d_y = gradients[0].contiguous();
    const Again made = again(saved[0], cpu::matrix_product(d_y, saved[1]));
    at::Tensor d_weight;
    if (context->needs_input_grad(1)) d_weight = cpu::matrix_product(d_y.t(), made.hidden);
    return {made.d_gate_up, d_weight};
  }
};

}  // namespace

at::Tensor swiglu_linear(const at::Tensor& gate_up, const at::Tensor& weight) {
  check_input("swiglu_linear", "gate_up", gate_up);
  check_same("swiglu_linear", "weight", weight, gate_up);
  TORCH_CHECK(gate_up.dim() == 2 && weight.dim() == 2 && gate_up.size(1) == 2 * weight.size(1),
              "swiglu_linear: gate_up has shape ", gate_up.sizes(), " and weight ", weight.sizes(),
              ", must have [tokens, 2 * width] and [outputs, width]");
  return SwigluLinear::apply(gate_up, weight);
}

}  // namespace veomni::kernels
