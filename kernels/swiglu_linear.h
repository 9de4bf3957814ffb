#pragma once
// T tokens, F feed-forward width, D model

namespace at {
class Tensor;
}

namespace veomni::kernels {

/// linear(swiglu(gate_up), weight) with gradient, of which only gate_up and weight are kept: the activation is made again in
/// backward, in the pass that computes its gradient.
///
/// gate_up [T, 2F] f32, bf16 or f64, contiguous; weight [D, F] of its type → [T, D]
at::Tensor swiglu_linear(const at::Tensor& gate_up, const at::Tensor& weight);

}  // namespace veomni::kernels
