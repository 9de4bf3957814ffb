#pragma once
// T tokens, D model, V vocabulary

#include <cstdint>

namespace at {
class Tensor;
}

namespace veomni::kernels {

/// Language-model head and its loss in chunks of tokens, so that [T, V] logits never exist at once;
/// the gradient is computed beside the forward pass when any input requires it (as in Liger-Kernel,
/// arXiv:2410.10989).
///
/// hidden [T, D] f32 or bf16, contiguous; weight [V, D] same dtype; labels [T] i64, −100 ignored
/// (labels ≥ V throw) label_weights [T] f32 or undefined (ones); scale: what one unit of summed
/// loss counts in the objective scaled (returned): scale · Σ, [] f32, differentiable in hidden and
/// weight. losses_out [T] f32 and correct_out [T] u8, when given, are filled (no gradient).
at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                                const at::Tensor& labels, const at::Tensor& label_weights,
                                double scale, at::Tensor* losses_out, at::Tensor* correct_out);

}  // namespace veomni::kernels
