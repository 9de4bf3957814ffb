#pragma once
// Where the parameters of a unit lie in its flat tensor, and what of it one rank keeps.

#include <cstdint>
#include <functional>
#include <vector>

#include "core/train/parameters.h"

namespace veomni {

constexpr int64_t kFlatAlignment = 16;  ///< elements: every parameter starts at 64 bytes in f32

/// Decayed parameters first, otherwise in declaration order; the total is a multiple of ranks ·
/// kFlatAlignment.
struct FlatLayout {
  FlatLayout(const std::vector<ParameterSpec>& parameters, int ranks);

  struct Gap {
    int64_t begin, end;
  };
  std::vector<int64_t> starts;  ///< by parameter, in declaration order
  std::vector<int64_t> counts;  ///< elements, likewise
  std::vector<size_t> order;    ///< parameters in order of start
  std::vector<Gap> gaps;        ///< elements that belong to no parameter
  int64_t total = 0;
};

/// The pieces of the parameters in elements [begin, end) of the flat tensor, in order of offset.
std::vector<ShardSlice> slices_of(const FlatLayout& layout,
                                  const std::vector<ParameterSpec>& parameters, int64_t begin,
                                  int64_t end);

/// Draws the initial values of the slices into `master` [n] f32 zeros on the CPU; those of
/// parameters for which `filled_later` (may be empty) says yes stay zero.
void initialise(at::Tensor& master, const std::vector<ShardSlice>& slices,
                const std::vector<ParameterSpec>& parameters, int64_t seed,
                const std::function<bool(const ParameterSpec&)>& filled_later);

}  // namespace veomni
