#pragma once
// Where the parameters of a unit lie in its flat tensor, and what of it one rank keeps.

#include <cstdint>
#include <functional>
#include <vector>

#include "core/train/parameters.h"

namespace veomni {

constexpr int64_t kFlatAlignment = 16;  ///< elements: every parameter starts at 64 bytes in f32

/// Trained parameters, then frozen ones, each a zone of its own that the ranks share: a multiple of
/// ranks · kFlatAlignment. Trained ones are sorted by group, those of a group decayed ones first,
/// otherwise in declaration order: what is updated alike lies together.
struct FlatLayout {
  FlatLayout(const std::vector<ParameterSpec>& parameters, int ranks);

  struct Gap {
    int64_t begin, end;
  };
  std::vector<int64_t> starts;  ///< by parameter, in declaration order
  std::vector<int64_t> counts;  ///< elements, likewise
  std::vector<size_t> order;    ///< parameters in order of start
  std::vector<Gap> gaps;        ///< trained elements that belong to no parameter
  int64_t trained = 0;          ///< elements of the first zone
  int64_t total = 0;            ///< of both

  /// Elements of a flat tensor whose equal parts the ranks keep, one behind the other in a shard.
  struct Zone {
    int64_t begin, size;
  };
  std::vector<Zone> zones() const;  ///< those that are not empty

 private:
  void place(const std::vector<ParameterSpec>& parameters, bool frozen, int ranks);
};

/// The pieces of the parameters that rank `rank` of `ranks` keeps, in order of offset.
std::vector<ShardSlice> slices_of(const FlatLayout& layout,
                                  const std::vector<ParameterSpec>& parameters, int rank,
                                  int ranks);

/// Draws the initial values of the slices into `master` [n] f32 zeros on the CPU; those of
/// parameters for which `filled_later` (may be empty) says yes stay zero.
void initialise(at::Tensor& master, const std::vector<ShardSlice>& slices,
                const std::vector<ParameterSpec>& parameters, int64_t seed,
                const std::function<bool(const ParameterSpec&)>& filled_later);

}  // namespace veomni
