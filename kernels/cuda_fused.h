#pragma once
// The operations of this folder on CUDA tensors, with gradient: kernels/cuda_ops.h under autograd.
// Signatures and contracts are those of the operations' own headers, which check arguments before
// they come here (f32 and bf16 only).

#include <utility>

#include "kernels/attention.h"

namespace veomni::kernels::cuda {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
std::pair<at::Tensor, at::Tensor> add_rms_norm(const at::Tensor& x, const at::Tensor& residual,
                                               const at::Tensor& weight, double epsilon);
at::Tensor swiglu(const at::Tensor& gate_up);
at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                                const at::Tensor& labels, const at::Tensor& label_weights,
                                double scale, at::Tensor* losses_out, at::Tensor* correct_out);
at::Tensor packed_attention(const at::Tensor& qkv, const at::Tensor& q_weight,
                            const at::Tensor& k_weight, const at::Tensor& positions,
                            const at::Tensor& cu_seqlens, const AttentionShape& shape);
at::Tensor moe_experts(const at::Tensor& x, const at::Tensor& gates, const at::Tensor& chosen,
                       const at::Tensor& gate_up, const at::Tensor& down);
at::Tensor embedding(const at::Tensor& weight, const at::Tensor& ids);

}  // namespace veomni::kernels::cuda
