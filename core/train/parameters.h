#pragma once
// How parts declare parameters, and what one rank holds of them. Includes the tensor type only.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/recipe/parameter_spec.h"

namespace veomni {

/// The piece of one parameter inside a shard.
struct ShardSlice {
  std::string parameter;
  std::vector<int64_t> shape;  ///< of the whole parameter
  int64_t begin = 0, end = 0;  ///< elements of the flattened parameter that this rank holds
  int64_t offset = 0;          ///< of the first of them in the shard
  bool decay = true;
};

/// One rank's share of a unit: what optimizer and checkpoint work on.
struct Shard {
  std::string unit;
  at::Tensor master;  ///< [n] f32
  at::Tensor
      gradient;  ///< [n] f32, summed over micro-batches, and over ranks after reduce_gradients
  std::vector<ShardSlice>
      slices;        ///< in order of offset; padding belongs to none. Decayed parameters come first
  bool used = true;  ///< false: no rank used the unit in this step; the optimizer leaves it alone
};

}  // namespace veomni
