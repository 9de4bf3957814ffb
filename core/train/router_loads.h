#pragma once
// What metrics.jsonl says of how a step's tokens were spread over experts.

#include <ATen/core/Tensor.h>

#include "core/json.h"

namespace veomni {

/// `loads` [L, E]: choices that fell on each expert. For each layer, by its number:
/// {"max_over_mean": the busiest expert's over the mean, "idle": experts without any, "entropy": of the shares, over ln E,
/// so that 1 is even, and where `each` is asked for "loads": [E]}.
Json router_json(const at::Tensor& loads, bool each);

}  // namespace veomni
