#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include "kernels/cpu/fused.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"

// T tokens, F feed-forward width

namespace veomni::kernels::cpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Swiglu : torch::autograd::Function<Swiglu> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& gate_up) {
    const int64_t tokens = gate_up.size(0), width = gate_up.size(1) / 2;
    const at::Tensor y = at::empty({tokens, width}, gate_up.options());
    SwigluArgs args;
    args.scalar = scalar_of(gate_up);
    args.width = width;
    args.gate_up = gate_up.const_data_ptr();
    args.y = y.mutable_data_ptr();
    for_rows(tokens, 2 * width,
             [&](int64_t begin, int64_t end) { loops().swiglu_forward(args, begin, end); });
    ctx->save_for_backward({gate_up});
    return y;
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const at::Tensor gate_up = ctx->get_saved_variables()[0], d_y = gradients[0].contiguous();
    const at::Tensor d_gate_up = at::empty(gate_up.sizes(), gate_up.options());
    SwigluArgs args;
    args.scalar = scalar_of(gate_up);
    args.width = gate_up.size(1) / 2;
    args.gate_up = gate_up.const_data_ptr();
    args.d_y = d_y.const_data_ptr();
    args.d_gate_up = d_gate_up.mutable_data_ptr();
    for_rows(gate_up.size(0), gate_up.size(1),
             [&](int64_t begin, int64_t end) { loops().swiglu_backward(args, begin, end); });
    return {d_gate_up};
  }
};

}  // namespace

at::Tensor swiglu(const at::Tensor& gate_up) { return Swiglu::apply(gate_up); }

}  // namespace veomni::kernels::cpu
