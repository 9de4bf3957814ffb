#pragma once
// T tokens, F feed-forward width

namespace at {
class Tensor;
}

namespace veomni::kernels {

/// silu(gate) · up for gate_up = [gate | up] (Shazeer 2020, arXiv:2002.05202), with gradient; saves
/// only its input.
///
/// gate_up [T, 2F] f32 or bf16, contiguous → [T, F]
at::Tensor swiglu(const at::Tensor& gate_up);

}  // namespace veomni::kernels
