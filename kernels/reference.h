#pragma once
// The kernels' mathematics composed of plain ATen operators, differentiated by autograd: what f64
// and devices without fused kernels run, and what the fused kernels are tested against. Arguments
// as in the headers beside this one.

#include <utility>

#include "kernels/attention.h"

namespace veomni::kernels::reference {

at::Tensor packed_attention(const at::Tensor& qkv, const at::Tensor& q_weight,
                            const at::Tensor& k_weight, const at::Tensor& positions,
                            const at::Tensor& cu_seqlens, const AttentionShape& shape);
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
at::Tensor swiglu(const at::Tensor& gate_up);
at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                                const at::Tensor& labels, const at::Tensor& label_weights,
                                double scale, at::Tensor* losses_out, at::Tensor* correct_out);
at::Tensor moe_experts(const at::Tensor& x, const at::Tensor& gates, const at::Tensor& chosen,
                       const at::Tensor& gate_up, const at::Tensor& down);
at::Tensor embedding(const at::Tensor& weight, const at::Tensor& ids);

}  // namespace veomni::kernels::reference
