#include "kernels/norm.h"

#include <torch/types.h>

#include "kernels/check.h"
#include "kernels/cpu/fused.h"
#include "kernels/cuda_fused.h"
#include "kernels/reference.h"

namespace veomni::kernels {
namespace {

void check(const char* where, const at::Tensor& x, const at::Tensor& weight) {
  check_input(where, "x", x);
  TORCH_CHECK(x.dim() == 2 && x.size(1) > 0, where, ": x has shape ", x.sizes(),
              ", must have [tokens, dim]");
  check_same(where, "weight", weight, x);
  check_shape(where, "weight", weight, {x.size(1)});
}

void check_layer_norm(const char* where, const at::Tensor& x, const at::Tensor& weight,
                      const at::Tensor& bias) {
  check(where, x, weight);
  check_same(where, "bias", bias, x);
  check_shape(where, "bias", bias, {x.size(1)});
}

/// LibTorch's operator is one pass on every device, so there is nothing of our own behind it. On the CPU its bf16 backward
/// sums the weight's gradient in bf16 (off by 9 % over 200 tokens), so there it runs in f32.
at::Tensor normalise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                     double epsilon) {
  if (!x.is_cpu() || x.scalar_type() != at::kBFloat16)
    return at::layer_norm(x, {x.size(1)}, weight, bias, epsilon);
  return at::layer_norm(x.to(at::kFloat), {x.size(1)}, weight.to(at::kFloat), bias.to(at::kFloat),
                        epsilon)
      .to(at::kBFloat16);
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  check("rms_norm", x, weight);
  switch (backend(x)) {
    case Backend::cpu:
      return cpu::rms_norm(x, weight, epsilon);
    case Backend::cuda:
      return cuda::rms_norm(x, weight, epsilon);
    default:
      return reference::rms_norm(x, weight, epsilon);
  }
}

std::pair<at::Tensor, at::Tensor> add_rms_norm(const at::Tensor& x, const at::Tensor& residual,
                                               const at::Tensor& weight, double epsilon) {
  check("add_rms_norm", x, weight);
  check_same("add_rms_norm", "residual", residual, x);
  check_shape("add_rms_norm", "residual", residual, x.sizes());
  if (backend(x) == Backend::cpu) return cpu::add_rms_norm(x, residual, weight, epsilon);
  if (backend(x) == Backend::cuda) return cuda::add_rms_norm(x, residual, weight, epsilon);
  const at::Tensor sum = x + residual;
  return {sum, reference::rms_norm(sum, weight, epsilon)};
}

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double epsilon) {
  check_layer_norm("layer_norm", x, weight, bias);
  return normalise(x, weight, bias, epsilon);
}

std::pair<at::Tensor, at::Tensor> add_layer_norm(const at::Tensor& x, const at::Tensor& residual,
                                                 const at::Tensor& weight, const at::Tensor& bias,
                                                 double epsilon) {
  check_layer_norm("add_layer_norm", x, weight, bias);
  check_same("add_layer_norm", "residual", residual, x);
  check_shape("add_layer_norm", "residual", residual, x.sizes());
  const at::Tensor sum = x + residual;
  return {sum, normalise(sum, weight, bias, epsilon)};
}

}  // namespace veomni::kernels
