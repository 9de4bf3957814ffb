#include "parallel/comm/thread.h"

#include <thread>

#include "core/error.h"
#include "parallel/comm/check.h"
#include "parallel/comm/thread_group.h"

namespace veomni {
namespace {

using comm::CallKind;
using comm::ThreadArgument;
using comm::ThreadCall;
using comm::ThreadGroup;
using Clock = std::chrono::steady_clock;

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<ThreadGroup> group, int rank)
      : group_(std::move(group)), rank_(rank) {}

  const std::string& name() const override { return group_->name; }
  int rank() const override { return rank_; }
  int size() const override { return group_->size; }
  double seconds() const override { return seconds_; }

  std::unique_ptr<Work> start_all_reduce(at::Tensor& tensor) override {
    comm::check_tensor(tensor, "all_reduce");
    return start({.kind = CallKind::all_reduce, .in = tensor, .out = tensor});
  }
  std::unique_ptr<Work> start_all_gather(at::Tensor& out, const at::Tensor& in) override {
    comm::check_all_gather(out, in, size());
    return start({.kind = CallKind::all_gather, .in = in, .out = out});
  }
  std::unique_ptr<Work> start_reduce_scatter(at::Tensor& out, const at::Tensor& in) override {
    comm::check_reduce_scatter(out, in, size());
    return start({.kind = CallKind::reduce_scatter, .in = in, .out = out});
  }
  std::unique_ptr<Work> start_all_to_all(at::Tensor& out, const at::Tensor& in,
                                         const std::vector<int64_t>& send_counts,
                                         const std::vector<int64_t>& receive_counts) override {
    comm::check_all_to_all(out, in, {send_counts, receive_counts}, size());
    return start({CallKind::all_to_all, in, out, send_counts, receive_counts});
  }
  std::unique_ptr<Work> start_broadcast(at::Tensor& tensor, int root) override {
    comm::check_tensor(tensor, "broadcast");
    comm::check_root(root, size());
    return start({.kind = CallKind::broadcast, .in = tensor, .out = tensor, .root = root});
  }
  void barrier() override { start({.kind = CallKind::barrier})->wait(); }

  std::unique_ptr<Communicator> split(int colour, const std::string& name) override;

 private:
  struct ThreadWork;
  std::unique_ptr<Work> start(ThreadArgument argument);
  void wait(ThreadCall& call, CallKind kind);

  std::shared_ptr<ThreadGroup> group_;
  int rank_;
  int64_t sequence_ = 0;
  double seconds_ = 0;
};

struct ThreadCommunicator::ThreadWork : Work {
  ThreadWork(ThreadCommunicator& its_owner, std::shared_ptr<ThreadCall> its_call, CallKind its_kind)
      : owner(its_owner), call(std::move(its_call)), kind(its_kind) {}
  void wait() override { owner.wait(*call, kind); }
  ThreadCommunicator& owner;
  std::shared_ptr<ThreadCall> call;
  CallKind kind;
};

std::unique_ptr<Work> ThreadCommunicator::start(ThreadArgument argument) {
  const CallKind kind = argument.kind;
  return std::make_unique<ThreadWork>(*this, group_->post(sequence_++, rank_, std::move(argument)),
                                      kind);
}

std::string absent_ranks(const ThreadCall& call) {
  std::string text;
  for (size_t rank = 0; rank < call.present.size(); ++rank) {
    if (!call.present[rank]) text += fmt::format("{}{}", text.empty() ? "" : ", ", rank);
  }
  return text;
}

void ThreadCommunicator::wait(ThreadCall& call, CallKind kind) {
  const auto begin = Clock::now();
  comm::ThreadWorld& world = *group_->world;
  std::unique_lock lock(world.mutex);
  const auto ended = [&] { return call.done || !call.error.empty() || !world.failure.empty(); };
  const bool in_time = world.changed.wait_until(lock, begin + timeout(), ended);
  seconds_ += std::chrono::duration<double>(Clock::now() - begin).count();
  if (call.done && call.error.empty()) return;
  const std::string where = this->where(comm::call_name(kind));
  require<CommError>(call.error.empty(), "{}: {}", where, call.error);
  require<CommError>(in_time, "{}: timed out after {}; missing ranks: {}", where,
                     comm::seconds_text(timeout()), absent_ranks(call));
  throw CommError(fmt::format("{}: {}", where, world.failure));
}

std::unique_ptr<Communicator> ThreadCommunicator::split(int colour, const std::string& name) {
  const int64_t sequence = sequence_;  // the same on all ranks: names this split
  at::Tensor colours = at::empty({size()}, at::kLong);
  all_gather(colours, at::full({1}, colour, at::kLong));
  int members = 0, place = 0;
  for (int rank = 0; rank < size(); ++rank) {
    if (colours[rank].item<int64_t>() != colour) continue;
    if (rank < rank_) ++place;
    ++members;
  }
  std::shared_ptr<ThreadGroup> child;
  {
    const std::lock_guard lock(group_->world->mutex);
    auto& entry = group_->children[{sequence, colour}];
    if (!entry) entry = std::make_shared<ThreadGroup>(group_->world, name, members);
    child = entry;
  }
  auto communicator = std::make_unique<ThreadCommunicator>(std::move(child), place);
  communicator->set_timeout(timeout());
  return communicator;
}

std::string message_of(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "unknown exception";
  }
}

/// What a rank thread does around fn.
class RankThread {
 public:
  RankThread(const ThreadRanks& ranks, const std::function<void(Communicator&)>& fn,
             std::shared_ptr<ThreadGroup> group)
      : ranks_(ranks), fn_(fn), group_(std::move(group)), grad_mode_(at::GradMode::is_enabled()) {}

  void run(int rank, int threads) {
    c10::AutogradState::get_tls_state().set_multithreading_enabled(false);
    at::GradMode::set_enabled(grad_mode_);
    at::set_num_threads(threads);
    try {
      ThreadCommunicator world(group_, rank);
      world.set_timeout(ranks_.timeout);
      fn_(world);
    } catch (...) {
      fail(rank, std::current_exception());
    }
  }
  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  void fail(int rank, const std::exception_ptr& exception) {
    const std::lock_guard lock(group_->world->mutex);
    if (first_) return;
    first_ = exception;
    group_->world->failure = fmt::format("rank {} failed: {}", rank, message_of(exception));
    group_->world->changed.notify_all();
  }

  const ThreadRanks& ranks_;
  const std::function<void(Communicator&)>& fn_;
  std::shared_ptr<ThreadGroup> group_;
  bool grad_mode_;
  std::exception_ptr first_;
};

}  // namespace

void run_ranks(const ThreadRanks& ranks, const std::function<void(Communicator&)>& fn) {
  require<ConfigError>(ranks.size >= 1, "ranks: {} threads; use 1 or more", ranks.size);
  const int caller_threads = at::get_num_threads();
  const int threads = ranks.threads_per_rank > 0 ? ranks.threads_per_rank
                                                 : std::max(1, caller_threads / ranks.size);
  const auto world = std::make_shared<comm::ThreadWorld>();
  RankThread body(ranks, fn, std::make_shared<ThreadGroup>(world, "world", ranks.size));
  std::vector<std::thread> running;
  for (int rank = 0; rank < ranks.size; ++rank) {
    running.emplace_back([&body, rank, threads] { body.run(rank, threads); });
  }
  for (auto& thread : running) thread.join();
  at::set_num_threads(caller_threads);  // the matrix library keeps one setting for all threads
  body.rethrow();
}

void run_ranks(int size, const std::function<void(Communicator&)>& fn) {
  run_ranks(ThreadRanks{.size = size}, fn);
}

}  // namespace veomni
