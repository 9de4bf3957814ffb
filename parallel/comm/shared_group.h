#pragma once
// The calls of one group of ranks over SharedRings: what each still has to write and to read. Nothing happens between
// calls: who starts a call writes what there is room for, who waits writes and reads for all groups of its process.

#include <ATen/core/Tensor.h>

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "parallel/comm/shared_rings.h"

namespace veomni::comm {

/// One call of one rank.
struct SharedOperation {
  struct Send {
    const char* from;
    int64_t bytes;
    int to;
  };
  /// From another rank.
  struct Source {
    int64_t bytes = 0;  ///< to come; of a rank that sends nothing: -1
    char* to = nullptr;
    int64_t received = 0;
    bool ended = false;  ///< its last piece has been read
  };
  /// The sources' bytes are not stored but summed, in rank order.
  struct Sum {
    char* out = nullptr;  ///< null: they are stored
    const char* own = nullptr;
    at::ScalarType type = at::kFloat;
  };

  SharedCall call = SharedCall::barrier;
  std::string where;  ///< `shard: rank 3 of 8: all_reduce`
  std::vector<Send> sends{};
  std::vector<Source> sources{};  ///< by rank; this one's is not looked at
  Sum sum{};
  bool in_place = false;  ///< reading overwrites what is sent: everything is written first
  std::shared_ptr<SharedOperation> after{};  ///< whose results it sends
  std::vector<at::Tensor> keep{};            ///< buffers

  uint64_t number = 0;
  int64_t piece = 0;   ///< which piece of every send is written next,
  size_t sending = 0;  ///< and of which send
  bool written = false;
  bool done = false;
  std::string error{};  ///< the ranks did not make the same call
};

class SharedGroup {
 public:
  SharedGroup(std::unique_ptr<SharedRings> rings, int rank, int ranks)
      : rings_(std::move(rings)), rank_(rank), ranks_(ranks) {}

  void start(std::shared_ptr<SharedOperation> operation);
  /// Writes and reads what can be without waiting.
  void turn();
  /// Which ranks have not come to this call, and what they do: `missing ranks: 1 (3 calls behind, at all_gather; waits
  /// in sequence: rank 1 of 2: all_to_all)`.
  std::string missing(const SharedOperation& operation) const;
  bool has_rings() const { return rings_ != nullptr; }  ///< a group of one has none
  SharedRings& rings() { return *rings_; }

 private:
  int64_t piece_bytes() const;
  bool write(SharedOperation& operation);
  void read(SharedOperation& operation);
  bool store_next(SharedOperation& operation, int source);
  bool sum_next(SharedOperation& operation);
  const SharedMessage* next(SharedOperation& operation, int source);
  void pass(SharedOperation::Source& source, int rank, int64_t bytes);

  std::unique_ptr<SharedRings> rings_;
  int rank_, ranks_;
  uint64_t calls_ = 0;
  std::deque<std::shared_ptr<SharedOperation>> operations_;  ///< not done, oldest first
};

/// All groups of this process.
class SharedProgress {
 public:
  void add(SharedGroup& group);
  void remove(SharedGroup& group);
  void start(SharedGroup& group, std::shared_ptr<SharedOperation> operation);
  /// Throws CommError after `timeout` or where the ranks' calls differ.
  void wait(SharedGroup& group, SharedOperation& operation, std::chrono::milliseconds timeout);

 private:
  bool turn(const SharedOperation& operation);
  /// Tells the other ranks of all groups what this one waits for.
  void set_status(const std::string& text);
  std::mutex mutex_;
  std::vector<SharedGroup*> groups_;
};

}  // namespace veomni::comm
