#pragma once
// Positions of multimodal rotary embedding. No LibTorch.

#include <cstdint>
#include <vector>

#include "core/data/sample.h"

namespace veomni {

/// Temporal, height and width positions of a pack's tokens, [3, T] row-major (M-RoPE: Wang et al. 2024,
/// arXiv:2409.12191, section 2.1), as transformers' get_rope_index: text advances all three by 1; a grid that starts at
/// p gives its tokens (p + frame, p + row, p + column), and what follows it starts at the largest position so far plus 1.
/// Without grids all three are Pack::positions.
std::vector<int64_t> grid_positions(const Pack& pack);

}  // namespace veomni
