#pragma once
// Worker threads that prepare the packs of lanes ahead of the training loop.

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/data/lane.h"

namespace veomni {

/// Each lane has a short queue of finished packs; a worker takes the lane that is least far ahead.
/// A lane is worked on by one thread at a time, so its order never depends on the number of
/// threads. Without workers, `next` prepares the pack itself.
class PackFeed {
 public:
  static constexpr size_t kAhead = 2;  ///< finished packs kept for each lane

  PackFeed(std::vector<std::unique_ptr<Lane>> lanes, int64_t workers);
  PackFeed(const PackFeed&) = delete;
  PackFeed& operator=(const PackFeed&) = delete;
  ~PackFeed();

  /// Blocks until the pack is there. Rethrows what a worker met while preparing it. A finished lane
  /// gives empty packs.
  Pack next(int64_t lane);
  bool finished(int64_t lane) const;
  LaneState state(int64_t lane) const;         ///< after the packs that `next` gave
  LaneState state_before(int64_t lane) const;  ///< before the last of them
  std::vector<int64_t> lanes() const;

 private:
  struct Ready {
    Pack pack;
    LaneState after;
    bool last = false;
  };
  struct Slot {
    std::unique_ptr<Lane> lane;
    std::deque<Ready> ready;
    std::exception_ptr error;
    LaneState before, delivered;
    bool busy = false, produced_last = false, finished = false;
    int64_t produced = 0;
  };

  static Ready prepare(Lane& lane);
  Slot& slot(int64_t lane) const;
  Slot* pick();
  void work();

  mutable std::mutex mutex_;
  std::condition_variable room_, ready_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::thread> threads_;
  bool stop_ = false;
};

}  // namespace veomni
