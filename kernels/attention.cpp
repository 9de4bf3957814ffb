#include "kernels/attention.h"

#include "kernels/check.h"
#include "kernels/check_attention.h"
#include "kernels/cpu/fused.h"
#include "kernels/cuda_fused.h"
#include "kernels/reference.h"

namespace veomni::kernels {
namespace {

constexpr const char* kWhere = "packed_attention";

void check_cu_seqlens(const at::Tensor& cu_seqlens, int64_t tokens) {
  TORCH_CHECK(cu_seqlens.defined() && cu_seqlens.is_cpu() && cu_seqlens.scalar_type() == at::kInt &&
                  cu_seqlens.dim() == 1 && cu_seqlens.numel() >= 1 && cu_seqlens.is_contiguous(),
              kWhere, ": cu_seqlens must be a contiguous i32 tensor [samples + 1] in host memory");
  const int32_t* begin = cu_seqlens.const_data_ptr<int32_t>();
  TORCH_CHECK(begin[0] == 0, kWhere, ": cu_seqlens begins with ", begin[0], ", must begin with 0");
  for (int64_t s = 0; s + 1 < cu_seqlens.numel(); ++s)
    TORCH_CHECK(begin[s] <= begin[s + 1] && begin[s + 1] <= tokens, kWhere, ": cu_seqlens[", s + 1,
                "] is ", begin[s + 1], ", must lie between ", begin[s], " and the ", tokens,
                " tokens");
}

void check_heads(int64_t width, const AttentionShape& shape) {
  const int64_t queries = shape.query_heads, keys = shape.key_value_heads, dim = shape.head_dim;
  TORCH_CHECK(queries > 0 && keys > 0 && queries % keys == 0, kWhere, ": ", queries,
              " query heads must be a positive multiple of ", keys, " key-value heads");
  TORCH_CHECK(dim > 0 && dim % 2 == 0 && dim <= 256, kWhere, ": head_dim is ", dim,
              ", must be even and at most 256");
  TORCH_CHECK(shape.window >= 0 && (shape.window == 0 || shape.causal), kWhere, ": window is ",
              shape.window, ", must be 0, or positive and attention causal");
  const int64_t turned = shape.rotary_dims;
  TORCH_CHECK(turned >= 0 && turned % 2 == 0 && turned <= dim, kWhere, ": rotary_dims is ", turned,
              ", must be even and at most head_dim = ", dim);
  TORCH_CHECK(width == (queries + 2 * keys) * dim, kWhere, ": qkv is [tokens, ", width,
              "], must have [tokens, ", (queries + 2 * keys) * dim, "]");
}

void check_positions(const at::Tensor& positions, const at::Tensor& like,
                     const AttentionShape& shape) {
  if (!positions.defined() || positions.dim() == 1)
    return check_ids(kWhere, "positions", positions, {like.size(0)}, like);
  check_ids(kWhere, "positions", positions, {3, like.size(0)}, like);
  const auto& sections = shape.rope_sections;
  TORCH_CHECK(sections[0] + sections[1] + sections[2] == rotary_dims(shape) / 2, kWhere,
              ": rope_sections are ", sections[0], ", ", sections[1], ", ", sections[2],
              ", must add up to the ", rotary_dims(shape) / 2, " pairs");
}

}  // namespace

void check_attention(const at::Tensor& like, int64_t width, const at::Tensor& q_weight,
                     const at::Tensor& k_weight, const at::Tensor& positions,
                     const at::Tensor& cu_seqlens, const AttentionShape& shape) {
  check_heads(width, shape);
  for (const at::Tensor* weight : {&q_weight, &k_weight})
    if (weight->defined()) {
      check_same(kWhere, "norm weight", *weight, like);
      check_shape(kWhere, "norm weight", *weight, {shape.head_dim});
    }
  if (shape.rope_theta > 0) check_positions(positions, like, shape);
  check_cu_seqlens(cu_seqlens, like.size(0));
}

at::Tensor packed_attention(const at::Tensor& qkv, const at::Tensor& q_weight,
                            const at::Tensor& k_weight, const at::Tensor& positions,
                            const at::Tensor& cu_seqlens, const AttentionShape& shape) {
  check_input(kWhere, "qkv", qkv);
  TORCH_CHECK(qkv.dim() == 2, kWhere, ": qkv has shape ", qkv.sizes(), ", must have two dims");
  check_attention(qkv, qkv.size(1), q_weight, k_weight, positions, cu_seqlens, shape);
  switch (backend(qkv)) {
    case Backend::cpu:
      return cpu::packed_attention(qkv, q_weight, k_weight, positions, cu_seqlens, shape);
    case Backend::cuda:
      return cuda::packed_attention(qkv, q_weight, k_weight, positions, cu_seqlens, shape);
    default:
      return reference::packed_attention(qkv, q_weight, k_weight, positions, cu_seqlens, shape);
  }
}

}  // namespace veomni::kernels
