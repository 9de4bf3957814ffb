#pragma once
// Packs from samples and from packs.

#include <vector>

#include "core/data/sample.h"

namespace veomni {

/// The packs end to end as one (a micro-batch): positions of pieces and targets and cu_seqlens are
/// moved, the order is kept.
Pack merge(const std::vector<const Pack*>& packs);

/// Which items to take so that their lengths sum to as much as fits into `capacity`; among equals
/// the earlier ones. Ascending. Cost: items × capacity / 64.
std::vector<size_t> fill_best(const std::vector<int64_t>& lengths, int64_t capacity);

}  // namespace veomni
