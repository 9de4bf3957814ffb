#pragma once
// What every head's spec shares.

#include "core/recipe/spec.h"

namespace veomni {

/// keys.hidden_size, common to all heads.
Key head_hidden_size_key();

/// [hidden layer weight, bias,] weight [columns, …], bias [columns]
UnitSpec describe_head(const PartConfig& config, const BaseSizes& sizes, int64_t columns);

}  // namespace veomni
