#pragma once
// Keeps started MPI operations moving. All MPI calls of the process are made under one lock: calls
// are posted by the caller, then polled by whoever waits, or by the progress thread while nobody
// does.

#include <ATen/core/Tensor.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "parallel/comm/mpi_api.h"

namespace veomni::comm {

/// Throws CommError `where: MPI_Isend failed: …` unless code is MPI_SUCCESS.
void check_mpi(int code, const std::string& where, const char* function);

struct MpiOperation {
  /// Runs when the requests before it have completed: first `compute` without the lock, then `post`
  /// under it.
  struct Stage {
    std::function<void()> compute;
    std::function<void(MpiOperation&)> post;
  };
  std::string where;                  ///< `shard: rank 3 of 8: all_reduce`
  std::vector<MPI_Request> requests;  ///< outstanding
  std::vector<int64_t> expected;      ///< bytes each request must receive; -1: not a receive
  std::vector<Stage> stages;
  std::vector<at::Tensor> keep;  ///< buffers: alive until the operation ends, also after a timeout
  size_t next_stage = 0;
  bool busy = false;  ///< somebody runs its compute
  bool done = false;
  std::string error;

  void add(MPI_Request request, int64_t receives = -1) {
    requests.push_back(request);
    expected.push_back(receives);
  }
};

class MpiProgress {
 public:
  MpiProgress();
  ~MpiProgress();

  /// Posts the first stage's calls and keeps the operation moving.
  void start(const std::shared_ptr<MpiOperation>& operation,
             const std::function<void(MpiOperation&)>& post);
  /// Throws CommError after `timeout` or when MPI reported an error.
  void wait(MpiOperation& operation, std::chrono::milliseconds timeout);
  /// Calls a blocking MPI function with no other operation under way.
  void alone(const std::function<void()>& function, std::chrono::milliseconds timeout);
  /// Ends the progress thread; false when operations are still under way.
  bool stop();

 private:
  void run();
  void poll(std::unique_lock<std::mutex>& lock);
  bool test(MpiOperation& operation);
  void advance(MpiOperation& operation, std::unique_lock<std::mutex>& lock);
  template <class Ended>
  bool poll_until(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds timeout,
                  Ended ended);

  std::mutex mutex_;
  std::condition_variable work_;
  std::list<std::shared_ptr<MpiOperation>> active_;
  std::vector<MPI_Status> statuses_;
  int waiters_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace veomni::comm
