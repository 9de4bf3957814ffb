#pragma once
// Shared state of ranks that are threads: the last rank to make a call does its work for all.

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace veomni::comm {

/// All rank threads of one run_ranks.
struct ThreadWorld {
  std::mutex mutex;
  std::condition_variable changed;
  std::string failure;  ///< of the first rank that threw; ends every wait
};

enum class CallKind { all_reduce, all_gather, reduce_scatter, all_to_all, broadcast, barrier };
const char* call_name(CallKind kind);

/// What one rank gives to a call.
struct ThreadArgument {
  CallKind kind = CallKind::barrier;
  at::Tensor in{}, out{};
  std::vector<int64_t> send{}, receive{};
  int root = 0;
};

/// One collective call of a group.
struct ThreadCall {
  std::vector<ThreadArgument> arguments;  ///< by rank
  std::vector<bool> present;
  int arrived = 0;
  bool done = false;
  std::string error;  ///< the ranks did not make the same call
};

struct ThreadGroup {
  ThreadGroup(std::shared_ptr<ThreadWorld> its_world, std::string its_name, int its_size)
      : world(std::move(its_world)), name(std::move(its_name)), size(its_size) {}

  /// Adds a rank's argument to call number `sequence`; the last one runs the call.
  std::shared_ptr<ThreadCall> post(int64_t sequence, int rank, ThreadArgument argument);

  std::shared_ptr<ThreadWorld> world;
  std::string name;
  int size;
  std::map<int64_t, std::shared_ptr<ThreadCall>> calls;  ///< not yet made by all ranks
  std::map<std::pair<int64_t, int64_t>, std::shared_ptr<ThreadGroup>> children;  ///< of split
};

}  // namespace veomni::comm
