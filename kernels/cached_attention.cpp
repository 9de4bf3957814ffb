#include "kernels/cached_attention.h"

#include "kernels/cached_backends.h"
#include "kernels/check.h"

namespace veomni::kernels {
namespace {

constexpr const char* kWhere = "cached_attention";

void check_host_ids(const char* name, const at::Tensor& ids, int64_t tokens, int64_t bound) {
  TORCH_CHECK(ids.defined() && ids.is_cpu() && ids.scalar_type() == at::kLong && ids.dim() == 1 &&
                  ids.size(0) == tokens && ids.is_contiguous(),
              kWhere, ": ", name, " must be a contiguous i64 tensor [", tokens, "] in host memory");
  const int64_t* id = ids.const_data_ptr<int64_t>();
  for (int64_t t = 0; t < tokens; ++t)
    TORCH_CHECK(id[t] >= 0 && id[t] < bound, kWhere, ": ", name, "[", t, "] is ", id[t],
                ", must be at least 0 and less than ", bound);
}

void check(const at::Tensor& qkv, const at::Tensor& weight, const at::Tensor& positions,
           const CachedRows& rows, const AttentionShape& shape) {
  check_input(kWhere, "qkv", qkv);
  const int64_t queries = shape.query_heads, keys = shape.key_value_heads, dim = shape.head_dim;
  TORCH_CHECK(queries > 0 && keys > 0 && queries % keys == 0, kWhere, ": ", queries,
              " query heads must be a positive multiple of ", keys, " key-value heads");
  TORCH_CHECK(dim > 0 && dim % 2 == 0 && dim <= 256, kWhere, ": head_dim is ", dim,
              ", must be even and at most 256");
  const int64_t tokens = qkv.size(0);
  check_shape(kWhere, "qkv", qkv, {tokens, (queries + 2 * keys) * dim});
  if (weight.defined()) {
    check_same(kWhere, "norm weight", weight, qkv);
    check_shape(kWhere, "norm weight", weight, {dim});
  }
  if (shape.rope_theta > 0) check_ids(kWhere, "positions", positions, {tokens}, qkv);
  check_same(kWhere, "keys", rows.keys, qkv);
  check_same(kWhere, "values", rows.values, qkv);
  TORCH_CHECK(rows.keys.dim() == 5, kWhere, ": keys have ", rows.keys.dim(), " dims, must have 5");
  const int64_t slots = rows.keys.size(0), panels = rows.keys.size(2);
  check_shape(kWhere, "keys", rows.keys, {slots, keys, panels, dim, kCachePanel});
  check_shape(kWhere, "values", rows.values, rows.keys.sizes());
  check_host_ids("slots", rows.slots, tokens, slots);
  check_host_ids("places", rows.places, tokens, panels * kCachePanel);
}

}  // namespace

void append_to_cache(const at::Tensor& qkv, const at::Tensor& k_weight, const at::Tensor& positions,
                     const CachedRows& rows, const AttentionShape& shape) {
  check(qkv, k_weight, positions, rows, shape);
  if (backend(qkv) == Backend::cpu)
    return cpu::append_to_cache(qkv, k_weight, positions, rows, shape);
  reference::append_to_cache(qkv, k_weight, positions, rows, shape);
}

at::Tensor cached_attention(const at::Tensor& qkv, const at::Tensor& q_weight,
                            const at::Tensor& positions, const CachedRows& rows,
                            const AttentionShape& shape) {
  check(qkv, q_weight, positions, rows, shape);
  if (backend(qkv) == Backend::cpu)
    return cpu::cached_attention(qkv, q_weight, positions, rows, shape);
  return reference::cached_attention(qkv, q_weight, positions, rows, shape);
}

}  // namespace veomni::kernels
