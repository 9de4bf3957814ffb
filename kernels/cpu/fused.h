#pragma once
// The fused CPU kernels behind kernels/*.h: f32 and bf16 on the CPU, arguments already checked
// there.

#include <cstdint>
#include <utility>

#include "kernels/attention.h"
#include "kernels/dense_block.h"
#include "kernels/optimizer.h"

namespace veomni::kernels::cpu {

at::Tensor packed_attention(const at::Tensor& qkv, const at::Tensor& q_weight,
                            const at::Tensor& k_weight, const at::Tensor& positions,
                            const at::Tensor& cu_seqlens, const AttentionShape& shape);
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
std::pair<at::Tensor, at::Tensor> add_rms_norm(const at::Tensor& x, const at::Tensor& residual,
                                               const at::Tensor& weight, double epsilon);
at::Tensor swiglu(const at::Tensor& gate_up);
at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                                const at::Tensor& labels, const at::Tensor& label_weights,
                                double scale, at::Tensor* losses_out, at::Tensor* correct_out);
at::Tensor moe_experts(const at::Tensor& x, const at::Tensor& gates, const at::Tensor& chosen,
                       const at::Tensor& gate_up, const at::Tensor& down);
std::pair<at::Tensor, at::Tensor> dense_block(const at::Tensor& sum, const at::Tensor& branch,
                                              const DenseBlockWeights& weights,
                                              const at::Tensor& positions,
                                              const at::Tensor& cu_seqlens,
                                              const AttentionShape& shape, double norm_eps,
                                              const GradientHome& home);
at::Tensor embedding(const at::Tensor& weight, const at::Tensor& ids);

}  // namespace veomni::kernels::cpu
