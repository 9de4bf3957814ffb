#pragma once
// Attention of a block in text generation: the new tokens of a row of texts against what is kept of
// the tokens before them. T new tokens, S texts

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/train/key_value_cache.h"
#include "kernels/attention.h"

namespace veomni {

struct TokenRow;

/// The cache as one forward sees it. Texts that are all new run packed attention, as without a cache;
/// otherwise each new token reads its slot.
class CachedTexts {
 public:
  /// slots [S]: of each text; cu_seqlens [S + 1] as in a batch. Throws Error where a text does not fit
  /// the cache's bound.
  CachedTexts(KeyValueCache& cache, const std::vector<int64_t>& slots,
              const at::Tensor& cu_seqlens);

  at::Tensor attend(const at::Tensor& qkv, const at::Tensor& q_weight, const at::Tensor& k_weight,
                    const TokenRow& row, const kernels::AttentionShape& shape);

  /// After the last layer: the texts are longer now.
  void advance();

 private:
  void make_room(at::Tensor& tensor, const at::Tensor& qkv, const kernels::AttentionShape& shape);

  KeyValueCache& cache_;
  std::vector<int64_t> slots_, new_tokens_;
  at::Tensor token_slots_, token_places_;  // [T] i64
  int64_t longest_ = 0;                    // tokens of a slot after this forward
  bool all_new_ = true;
};

/// What a block mixes its tokens with: packed attention, or attention over row.cache where there is
/// one.
at::Tensor attend(const at::Tensor& qkv, const at::Tensor& q_weight, const at::Tensor& k_weight,
                  const TokenRow& row, const kernels::AttentionShape& shape);

}  // namespace veomni
