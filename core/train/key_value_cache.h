#pragma once
// What text generation keeps of the tokens it has read.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace veomni {

/// Keys and values of `lengths.size()` slots, one text each. The model fills it and decides its
/// layout; whoever generates says which slot a text has, and empties a slot by setting its length
/// to 0. Memory grows in doubling steps with the longest text, up to `bound` tokens a slot:
/// 2 · layers · key-value heads · head size · element bytes for each token of each slot.
struct KeyValueCache {
  KeyValueCache(int64_t slots, int64_t tokens)
      : lengths(static_cast<size_t>(slots), 0), bound(tokens) {}

  std::vector<int64_t> lengths;          ///< tokens that each slot holds
  int64_t bound = 0;                     ///< most tokens of a slot
  std::vector<at::Tensor> keys, values;  ///< one a layer; undefined until the layer's first use
};

}  // namespace veomni
