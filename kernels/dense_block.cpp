#include "kernels/dense_block.h"

#include <torch/types.h>

#include "kernels/check.h"
#include "kernels/check_attention.h"
#include "kernels/cpu/fused.h"
#include "kernels/cpu/isa.h"

namespace veomni::kernels {
namespace {

constexpr const char* kWhere = "dense_block";
constexpr int64_t kFewestRows =
    16;  // for fewer, bringing the weights into order costs more than it saves

void check_weight(const char* name, const at::Tensor& weight, const at::Tensor& like,
                  at::IntArrayRef shape) {
  check_same(kWhere, name, weight, like);
  check_shape(kWhere, name, weight, shape);
}

}  // namespace

bool has_dense_block(const at::Tensor& x) {
  return x.dim() == 2 && x.size(0) >= kFewestRows && x.scalar_type() == at::kFloat && x.is_cpu() &&
         loops().matrix_rows != nullptr;
}

std::pair<at::Tensor, at::Tensor> dense_block(const at::Tensor& sum, const at::Tensor& branch,
                                              const DenseBlockWeights& weights,
                                              const at::Tensor& positions,
                                              const at::Tensor& cu_seqlens,
                                              const AttentionShape& shape, double norm_eps,
                                              const GradientHome& home) {
  check_input(kWhere, "sum", sum);
  TORCH_CHECK(has_dense_block(sum), kWhere, ": takes f32 [tokens ≥ ", kFewestRows,
              ", hidden] on the CPU, not ", sum.scalar_type(), " ", sum.sizes(), " on ",
              sum.device());
  if (branch.defined()) check_weight("branch", branch, sum, sum.sizes());
  const int64_t dim = sum.size(1), width = shape.query_heads * shape.head_dim;
  const int64_t qkv_width = width + 2 * shape.key_value_heads * shape.head_dim;
  check_attention(sum, qkv_width, weights.q_norm, weights.k_norm, positions, cu_seqlens, shape);
  check_weight("input_norm", weights.input_norm, sum, {dim});
  check_weight("qkv", weights.qkv, sum, {qkv_width, dim});
  if (weights.qkv_bias.defined()) check_weight("qkv_bias", weights.qkv_bias, sum, {qkv_width});
  check_weight("output", weights.output, sum, {dim, width});
  check_weight("post_norm", weights.post_norm, sum, {dim});
  TORCH_CHECK(weights.down.defined() && weights.down.dim() == 2, kWhere,
              ": down must have two dims");
  const int64_t ffn = weights.down.size(1);
  check_weight("down", weights.down, sum, {dim, ffn});
  check_weight("gate_up", weights.gate_up, sum, {2 * ffn, dim});
  return cpu::dense_block(sum, branch, weights, positions, cu_seqlens, shape, norm_eps, home);
}

}  // namespace veomni::kernels
