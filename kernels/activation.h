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

/// Element-wise functions of feed-forward layers, with transformers' names for them:
/// silu x·σ(x) (silu, swish); gelu x·Φ(x) (Hendrycks & Gimpel 2016, arXiv:1606.08415); gelu_tanh its
/// tanh approximation (gelu_new, gelu_pytorch_tanh, gelu_fast); quick_gelu x·σ(1.702 x); relu.
enum class Activation { silu, gelu, gelu_tanh, quick_gelu, relu };

/// The function of every element, with gradient. x of any shape, f32, bf16 or f64, contiguous.
at::Tensor activate(const at::Tensor& x, Activation function);

/// function(gate) · up for gate_up = [gate | up], with gradient; with silu it is swiglu.
///
/// gate_up [T, 2F] f32, bf16 or f64, contiguous → [T, F]
at::Tensor gated(const at::Tensor& gate_up, Activation function);

}  // namespace veomni::kernels
