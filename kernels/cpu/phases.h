#pragma once
// Work in several steps by one team of threads.

#include <cstdint>
#include <functional>
#include <vector>

namespace veomni::kernels {

/// One step: body(item, scratch) for every item of [0, items). Must not throw; results must not depend on which
/// thread ran an item.
struct Phase {
  int64_t items = 0;
  std::function<void(int64_t item, float* scratch)> body;
};

/// Runs the phases one after the other on at::get_num_threads() threads, which start once; each has `scratch` floats.
/// A thread first takes the items of its own part of the range, the same part in every phase, so that what it wrote in
/// one phase is still in its caches in the next; then what others have left.
void run_phases(const std::vector<Phase>& phases, int64_t scratch);

}  // namespace veomni::kernels
