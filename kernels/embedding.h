#pragma once
// T tokens, D model, V vocabulary

namespace at {
class Tensor;
}

namespace veomni::kernels {

/// Rows of weight by id, with gradient: summed in the order of the tokens, the same bits with any
/// number of threads.
///
/// weight [V, D] f32 or bf16, contiguous; ids [T] i64 in [0, V) → [T, D]. The gradient is dense.
/// Throws c10::Error on any other shape or dtype and on ids out of range.
at::Tensor embedding(const at::Tensor& weight, const at::Tensor& ids);

}  // namespace veomni::kernels
