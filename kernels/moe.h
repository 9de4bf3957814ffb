#pragma once
// T tokens, D model, E experts, k experts a token, F width of one expert

#include <cstdint>

namespace at {
class Tensor;
}

namespace veomni::kernels {

/// Dropless grouped SwiGLU experts (MegaBlocks, arXiv:2211.15841): out[t] = Σ_j gates[t, j] ·
/// expert_{chosen[t, j]}(x[t]).
///
/// x [T, D] f32 or bf16; gates [T, k] same dtype (carry gradient to the router); chosen [T, k] i64
/// in [0, E) gate_up [E, 2F, D] and down [E, D, F] same dtype returns [T, D]; gradients for x,
/// gates, gate_up and down. An expert without tokens gets a zero gradient.
at::Tensor moe_experts(const at::Tensor& x, const at::Tensor& gates, const at::Tensor& chosen,
                       const at::Tensor& gate_up, const at::Tensor& down);

}  // namespace veomni::kernels
