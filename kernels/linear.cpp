#include "kernels/linear.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <optional>

#include "kernels/check.h"
#include "kernels/cpu/matrix.h"

// T tokens, I inputs, O outputs

namespace veomni::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

enum class Addend { none, bias, residual };

/// One node for all three: what is added decides only where the output's gradient goes.
struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& addend, Addend kind) {
    ctx->save_for_backward({x, weight});
    ctx->saved_data["kind"] = static_cast<int64_t>(kind);
    const at::Tensor y = at::empty({x.size(0), weight.size(0)}, x.options());
    if (kind != Addend::none) y.copy_(*addend);
    cpu::matrix_product_into(y, x, weight.t(), kind != Addend::none);
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const auto kind = static_cast<Addend>(ctx->saved_data["kind"].toInt());
    const at::Tensor& d_y = gradients[0];
    at::Tensor d_x, d_weight, d_addend;
    if (ctx->needs_input_grad(0)) d_x = cpu::matrix_product(d_y, saved[1]);
    if (ctx->needs_input_grad(1)) d_weight = cpu::matrix_product(d_y.t(), saved[0]);
    if (kind == Addend::bias) d_addend = d_y.sum(0);
    if (kind == Addend::residual) d_addend = d_y;
    return {d_x, d_weight, d_addend, {}};
  }
};

void check(const char* where, const at::Tensor& x, const at::Tensor& weight) {
  check_input(where, "x", x);
  check_same(where, "weight", weight, x);
  TORCH_CHECK(x.dim() == 2 && weight.dim() == 2 && x.size(1) == weight.size(1), where,
              ": x has shape ", x.sizes(), " and weight ", weight.sizes(),
              ", must have [tokens, inputs] and [outputs, inputs]");
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  check("linear", x, weight);
  if (!bias.defined()) return Linear::apply(x, weight, std::optional<at::Tensor>(), Addend::none);
  check_same("linear", "bias", bias, x);
  check_shape("linear", "bias", bias, {weight.size(0)});
  return Linear::apply(x, weight, std::optional(bias), Addend::bias);
}

at::Tensor linear_add(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& residual) {
  check("linear_add", x, weight);
  check_same("linear_add", "residual", residual, x);
  check_shape("linear_add", "residual", residual, {x.size(0), weight.size(0)});
  return Linear::apply(x, weight, std::optional(residual), Addend::residual);
}

}  // namespace veomni::kernels
