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
  int group = -1;  ///< index into train.groups, or kNoGroup
};

/// One rank's share of a unit: what optimizer and checkpoint work on.
struct Shard {
  std::string unit;
  at::Tensor master;  ///< [n] f32: parameters that are trained, then those that are frozen
  /// [m] f32 of master's first m elements, summed over micro-batches, and over ranks after reduce_gradients.
  at::Tensor gradient;
  /// In order of offset; padding belongs to none. Trained ones are sorted by group, decayed ones of a group first.
  std::vector<ShardSlice> slices;
  bool used = true;  ///< false: no rank used the unit in this step; the optimizer leaves it alone

  bool trains(const ShardSlice& slice) const { return slice.offset < gradient.numel(); }
};

}  // namespace veomni
