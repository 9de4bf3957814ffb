#pragma once
// T tokens, I inputs, O outputs

namespace at {
class Tensor;
}

namespace veomni::kernels {

/// x · weightᵀ (+ bias) like at::linear, with less work around the matrix products: one node of the
/// graph, no views.
///
/// x [T, I] f32, bf16 or f64, contiguous; weight [O, I] and bias [O] (or undefined) same dtype →
/// [T, O]
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// x · weightᵀ + residual: the sum is made by the matrix product itself. residual [T, O]; it is
/// only read.
at::Tensor linear_add(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& residual);

}  // namespace veomni::kernels
