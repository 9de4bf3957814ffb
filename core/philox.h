#pragma once
// Counter-based random numbers: Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3"). A value depends only on (seed, name, element), so any rank can draw any piece
// of a tensor.

#include <array>
#include <cstdint>
#include <string_view>

namespace veomni {

/// Ten rounds of Philox 4x32.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// Which elements of which stream: [begin, end) of the stream (seed, name).
struct RandomRange {
  std::string_view name;
  int64_t seed = 0;
  int64_t begin = 0, end = 0;
};

/// out[e - begin] ~ N(0, deviation²) (Box & Muller 1958), the same bits for an element whatever the
/// range.
void fill_normal(const RandomRange& range, double deviation, float* out);
/// out[e - begin] ~ U(-half_width, half_width).
void fill_uniform(const RandomRange& range, double half_width, float* out);

}  // namespace veomni
