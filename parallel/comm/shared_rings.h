#pragma once
// How ranks of one machine hand each other bytes: every rank writes messages into a ring of its own, the others read
// them there. A ring's messages are read in order by every rank, which passes over those for others.

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "parallel/comm/shared_segment.h"

namespace veomni::comm {

enum class SharedCall : uint32_t {
  barrier,
  all_reduce,
  all_gather,
  reduce_scatter,
  all_to_all,
  broadcast
};
const char* name_of(SharedCall call);

constexpr int kToAll = -1;

/// A piece of what one rank gives to one call.
struct SharedMessage {
  SharedCall call;
  int32_t to;       ///< a rank, or kToAll
  uint64_t number;  ///< of the call in its group
  int64_t offset, bytes;
  int64_t total;  ///< bytes of all its pieces
};

class SharedRings {
 public:
  static constexpr int64_t kRingBytes = int64_t{8} << 20;
  static constexpr int64_t kPieceBytes = int64_t{256}
                                         << 10;  ///< at most; stays in the caches of who reads it
  static constexpr uint64_t kSlots = 512;        ///< more than a machine has ranks
  static int64_t segment_bytes(int ranks);

  /// `segment` is of segment_bytes(ranks).
  SharedRings(std::unique_ptr<SharedSegment> segment, int rank, int ranks);

  /// Copies the message's bytes into this rank's ring; false when there is no room until the others have read on.
  bool write(SharedMessage message, const char* from);
  /// The next message of `source` for this rank, or null when there is none yet.
  const SharedMessage* next(int source);
  const char* data(int source, const SharedMessage& message) const;
  /// Done with it.
  void pass(int source);

  /// What this rank waits for ("": nothing), for the others' messages about it; at most kStatusBytes - 1 are kept.
  void set_status(const std::string& text);
  /// What a rank does, as far as it is seen from here: `waits in sequence: rank 1 of 2: all_to_all`, `computes`, `is
  /// stopped`, `is gone`.
  std::string status(int rank) const;
  /// What a rank has called last; for messages about one that does not come.
  void set_last_call(uint64_t number, SharedCall call);
  struct LastCall {
    uint64_t number;  ///< 0: none yet
    SharedCall call;
  };
  LastCall last_call(int rank) const;
  static constexpr int64_t kStatusBytes = 256;

 private:
  using Counter = std::atomic<uint64_t>;
  static_assert(Counter::is_always_lock_free);
  struct Used {
    uint64_t index;
    int64_t begin;
  };
  Counter& counter(int rank, int which) const;
  Counter& written(int rank) const;
  Counter& read(int source, int reader) const;
  SharedMessage& slot(int source, uint64_t index) const;
  char* status_text(int rank) const;
  uint64_t read_by_all();
  int64_t reserve(int64_t bytes);

  std::unique_ptr<SharedSegment> segment_;
  int rank_, ranks_;
  std::deque<Used> used_;  ///< of this rank's ring, oldest first
  int64_t head_ = 0;       ///< where the ring's next bytes go
  uint64_t next_index_ = 0;
};

}  // namespace veomni::comm
