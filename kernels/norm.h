#pragma once
// T tokens, D model

#include <utility>

namespace at {
class Tensor;
}

namespace veomni::kernels {

/// y[t, d] = x[t, d] / sqrt(mean_d(x[t, :]²) + epsilon) · weight[d]     (Zhang & Sennrich 2019,
/// arXiv:1910.07467)
///
/// x [T, D] f32 or bf16, contiguous; weight [D], same dtype; sums are kept in f32. Differentiable
/// in both.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

/// (x + residual, rms_norm(x + residual, weight)) in one pass; both results carry gradient.
std::pair<at::Tensor, at::Tensor> add_rms_norm(const at::Tensor& x, const at::Tensor& residual,
                                               const at::Tensor& weight, double epsilon);

/// y[t, d] = (x[t, d] - mean_d(x[t, :])) / sqrt(variance_d(x[t, :]) + epsilon) · weight[d] + bias[d]
/// with the variance over D, not D - 1 (Ba, Kiros & Hinton 2016, arXiv:1607.06450)
///
/// x [T, D] f32 or bf16, contiguous; weight and bias [D], same dtype; statistics are kept in f32.
/// Differentiable in all three.
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double epsilon);

/// (x + residual, layer_norm(x + residual, weight, bias)); both results carry gradient.
std::pair<at::Tensor, at::Tensor> add_layer_norm(const at::Tensor& x, const at::Tensor& residual,
                                                 const at::Tensor& weight, const at::Tensor& bias,
                                                 double epsilon);

}  // namespace veomni::kernels
