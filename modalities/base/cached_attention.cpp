#include "modalities/base/cached_attention.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "kernels/cached_attention.h"
#include "modalities/base/block.h"

namespace veomni {
namespace {

int64_t panels_of(int64_t tokens) {
  return (tokens + kernels::kCachePanel - 1) / kernels::kCachePanel;
}

}  // namespace

CachedTexts::CachedTexts(KeyValueCache& cache, const std::vector<int64_t>& slots,
                         const at::Tensor& cu_seqlens)
    : cache_(cache), slots_(slots) {
  const auto* begin = cu_seqlens.const_data_ptr<int32_t>();
  std::vector<int64_t> token_slots, token_places;
  for (size_t s = 0; s < slots_.size(); ++s) {
    const int64_t length = cache_.lengths.at(static_cast<size_t>(slots_[s])),
                  count = begin[s + 1] - begin[s];
    require<Error>(length + count <= cache_.bound, "generate: {} tokens do not fit a cache of {}",
                   length + count, cache_.bound);
    all_new_ = all_new_ && length == 0;
    longest_ = std::max(longest_, length + count);
    new_tokens_.push_back(count);
    for (int64_t i = 0; i < count; ++i) {
      token_slots.push_back(slots_[s]);
      token_places.push_back(length + i);
    }
  }
  token_slots_ = at::tensor(token_slots, at::kLong);
  token_places_ = at::tensor(token_places, at::kLong);
}

void CachedTexts::make_room(at::Tensor& tensor, const at::Tensor& qkv,
                            const kernels::AttentionShape& shape) {
  const int64_t old = tensor.defined() ? tensor.size(2) : 0;
  if (panels_of(longest_) <= old) return;
  const int64_t panels =
      std::min(std::max(panels_of(longest_), 2 * old), std::max(panels_of(cache_.bound), old));
  auto grown = at::zeros({static_cast<int64_t>(cache_.lengths.size()), shape.key_value_heads,
                          panels, shape.head_dim, kernels::kCachePanel},
                         qkv.options().requires_grad(false));
  if (old > 0) grown.narrow(2, 0, old).copy_(tensor);
  tensor = grown;
}

at::Tensor CachedTexts::attend(const at::Tensor& qkv, const at::Tensor& q_weight,
                               const at::Tensor& k_weight, const TokenRow& row,
                               const kernels::AttentionShape& shape) {
  const auto layer = static_cast<size_t>(row.layer);
  if (cache_.keys.size() <= layer) {
    cache_.keys.resize(layer + 1);
    cache_.values.resize(layer + 1);
  }
  make_room(cache_.keys[layer], qkv, shape);
  make_room(cache_.values[layer], qkv, shape);
  const kernels::CachedRows rows{cache_.keys[layer], cache_.values[layer], token_slots_,
                                 token_places_};
  kernels::append_to_cache(qkv, k_weight, row.positions, rows, shape);
  if (all_new_)
    return kernels::packed_attention(qkv, q_weight, k_weight, row.positions, row.cu_seqlens, shape);
  return kernels::cached_attention(qkv, q_weight, row.positions, rows, shape);
}

void CachedTexts::advance() {
  for (size_t s = 0; s < slots_.size(); ++s)
    cache_.lengths[static_cast<size_t>(slots_[s])] += new_tokens_[s];
}

at::Tensor attend(const at::Tensor& qkv, const at::Tensor& q_weight, const at::Tensor& k_weight,
                  const TokenRow& row, const kernels::AttentionShape& shape) {
  if (row.cache != nullptr) return row.cache->attend(qkv, q_weight, k_weight, row, shape);
  return kernels::packed_attention(qkv, q_weight, k_weight, row.positions, row.cu_seqlens, shape);
}

}  // namespace veomni
