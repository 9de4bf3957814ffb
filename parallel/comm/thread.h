#pragma once
// Ranks as threads of one process: for tests, and for several ranks that share one device.

#include <chrono>
#include <functional>

#include "core/communicator.h"

namespace veomni {

struct ThreadRanks {
  int size = 1;
  std::chrono::milliseconds timeout{600'000};
  int threads_per_rank =
      0;  ///< for operators inside a rank; 0: the caller's threads divided by size
};

/// Calls fn(world) on `size` threads and returns when all have ended. Each thread runs backward on
/// itself and takes the caller's gradient mode. Sums are taken in rank order. When a rank throws,
/// the calls of the others end at once with CommError, and the first exception is rethrown here.
void run_ranks(const ThreadRanks& ranks, const std::function<void(Communicator&)>& fn);
void run_ranks(int size, const std::function<void(Communicator&)>& fn);

}  // namespace veomni
