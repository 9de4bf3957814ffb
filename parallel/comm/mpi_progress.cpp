#include "parallel/comm/mpi_progress.h"

#include <algorithm>

#include "core/error.h"
#include "parallel/comm/check.h"

namespace veomni::comm {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kPollsPerTurn = 64;  // under one hold of the lock, some microseconds
constexpr int kEagerTurns = 64;    // before a waiting caller begins to sleep between turns
constexpr auto kCallerPause = std::chrono::microseconds(20);
constexpr auto kThreadPause = std::chrono::microseconds(50);
constexpr auto kLongThreadPause = std::chrono::microseconds(200);

bool all_ended(const MpiOperation& operation) {
  return std::all_of(operation.requests.begin(), operation.requests.end(),
                     [](MPI_Request request) { return request == MPI_REQUEST_NULL; });
}

}  // namespace

void check_mpi(int code, const std::string& where, const char* function) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "unknown error";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw CommError(fmt::format("{}: {} failed: {}", where, function, text));
}

MpiProgress::MpiProgress() : thread_([this] { run(); }) {}

MpiProgress::~MpiProgress() { stop(); }

bool MpiProgress::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  if (thread_.joinable()) thread_.join();
  return active_.empty();
}

void MpiProgress::start(const std::shared_ptr<MpiOperation>& operation,
                        const std::function<void(MpiOperation&)>& post) {
  {
    const std::lock_guard lock(mutex_);
    active_.push_back(operation);  // first: should posting fail half way, the buffers must stay
    post(*operation);
  }
  work_.notify_one();
}

/// Whether all requests have completed; every receive must have the size this rank expects.
bool MpiProgress::test(MpiOperation& operation) {
  const size_t count = operation.requests.size();
  statuses_.resize(count);
  int completed = 0;
  int code =
      MPI_Testall(static_cast<int>(count), operation.requests.data(), &completed, statuses_.data());
  for (size_t i = 0; code == MPI_ERR_IN_STATUS && i < count; ++i) {
    const int own = statuses_[i].MPI_ERROR;
    if (own != MPI_SUCCESS && own != MPI_ERR_PENDING) code = own;
  }
  check_mpi(code, operation.where, "MPI_Testall");
  for (size_t i = 0; completed != 0 && i < count; ++i) {
    if (operation.expected[i] < 0) continue;
    int bytes = 0;
    check_mpi(MPI_Get_count(&statuses_[i], MPI_BYTE, &bytes), operation.where, "MPI_Get_count");
    require<CommError>(
        bytes == operation.expected[i],
        "{}: rank {} sent {} bytes instead of {}; all ranks must make the same calls",
        operation.where, statuses_[i].MPI_SOURCE, bytes, operation.expected[i]);
  }
  return completed != 0;
}

/// Takes an operation whose requests have completed through its next stages. An MPI error ends it.
void MpiProgress::advance(MpiOperation& operation, std::unique_lock<std::mutex>& lock) {
  operation.requests.clear();
  operation.expected.clear();
  while (operation.requests.empty() && operation.next_stage < operation.stages.size()) {
    auto& stage = operation.stages[operation.next_stage++];
    if (stage.compute) {
      operation.busy = true;
      lock.unlock();
      stage.compute();
      lock.lock();
      operation.busy = false;
    }
    if (stage.post) stage.post(operation);
  }
  operation.done = operation.requests.empty();
}

void MpiProgress::poll(std::unique_lock<std::mutex>& lock) {
  for (auto entry = active_.begin(); entry != active_.end();) {
    const auto operation = *entry;
    if (operation->busy || !operation->error.empty()) {
      ++entry;
      continue;
    }
    try {
      if (test(*operation)) advance(*operation, lock);
    } catch (const std::exception& error) {
      operation->error = error.what();
    }
    // Only whoever took an operation to its end removes it, so `entry` is still valid here. One
    // that failed stays while MPI may still write to its buffers.
    const bool over = operation->done || (!operation->error.empty() && all_ended(*operation));
    entry = over ? active_.erase(entry) : std::next(entry);
  }
}

/// Polls for a caller: eagerly at first, then with short sleeps. False after the timeout.
template <class Ended>
bool MpiProgress::poll_until(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds timeout,
                             Ended ended) {
  const auto deadline = Clock::now() + timeout;
  ++waiters_;
  bool in_time = true;
  for (int turn = 0; !ended() && in_time; ++turn) {
    for (int i = 0; i < kPollsPerTurn && !ended(); ++i) poll(lock);
    if (ended()) break;
    lock.unlock();
    if (turn < kEagerTurns) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kCallerPause);
    }
    in_time = Clock::now() < deadline;
    lock.lock();
  }
  --waiters_;
  return ended();
}

void MpiProgress::wait(MpiOperation& operation, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const auto ended = [&] { return operation.done || !operation.error.empty(); };
  const bool in_time = poll_until(lock, timeout, ended);
  if (!active_.empty()) work_.notify_one();
  require<CommError>(operation.error.empty(), "{}", operation.error);
  require<CommError>(in_time,
                     "{}: timed out after {}; another rank ended, hangs or made other calls",
                     operation.where, seconds_text(timeout));
}

void MpiProgress::alone(const std::function<void()>& function, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  require<CommError>(poll_until(lock, timeout, [&] { return active_.empty(); }),
                     "mpi: operations are still under way after {}", seconds_text(timeout));
  function();
}

void MpiProgress::run() {
  std::unique_lock lock(mutex_);
  int idle_turns = 0;
  while (!stopping_) {
    if (active_.empty() || waiters_ > 0) {
      work_.wait(lock, [&] { return stopping_ || (!active_.empty() && waiters_ == 0); });
      idle_turns = 0;
      continue;
    }
    poll(lock);
    lock.unlock();
    std::this_thread::sleep_for(++idle_turns < 40 ? kThreadPause : kLongThreadPause);
    lock.lock();
  }
}

}  // namespace veomni::comm
