#include "parallel/comm/shared_group.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include "core/error.h"
#include "parallel/comm/check.h"
#include "parallel/comm/sum.h"

namespace veomni::comm {
namespace {

using Clock = std::chrono::steady_clock;
// A peer that is some microseconds behind is waited for in place; for a later one the core is left to others.
constexpr int kEagerTurns = 200;
constexpr int kYieldingTurns = 2000;
constexpr int kSilentTurns =
    2200;  // some ten milliseconds later the others may read what is waited for
constexpr auto kPause = std::chrono::microseconds(50);

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

void SharedGroup::start(std::shared_ptr<SharedOperation> operation) {
  operation->number = ++calls_;
  rings_->set_last_call(calls_, operation->call);
  operations_.push_back(std::move(operation));
}

/// A ring takes a piece for every rank: who sums needs one of each before any of them can go.
int64_t SharedGroup::piece_bytes() const {
  return std::min(SharedRings::kPieceBytes, SharedRings::kRingBytes / (2 * ranks_) / 64 * 64);
}

/// False when the ring is full or the operation still waits for another. The first piece for every rank, then the
/// second, …: were one rank served after the other, all rings could be full of what nobody can sum yet.
bool SharedGroup::write(SharedOperation& operation) {
  if (operation.written) return true;
  if (operation.after && !operation.after->done) return false;
  for (bool more = true; more; ++operation.piece) {
    more = false;
    for (; operation.sending < operation.sends.size(); ++operation.sending) {
      const auto& send = operation.sends[operation.sending];
      const int64_t begin = operation.piece * piece_bytes();
      if (begin > 0 && begin >= send.bytes) continue;
      const int64_t bytes = std::min(piece_bytes(), send.bytes - begin);
      const SharedMessage message{operation.call, send.to, operation.number, 0, bytes, send.bytes};
      if (!rings_->write(message, send.from + begin)) return false;
    }
    for (const auto& send : operation.sends)
      more = more || send.bytes > (operation.piece + 1) * piece_bytes();
    operation.sending = 0;
  }
  operation.written = true;
  return true;
}

/// The next piece of `source` for this call, or null while there is none.
const SharedMessage* SharedGroup::next(SharedOperation& operation, int source) {
  const SharedMessage* message = rings_->next(source);
  if (message == nullptr || message->number != operation.number) return nullptr;
  const int64_t expected = operation.sources[static_cast<size_t>(source)].bytes;
  if (message->call == operation.call && message->total == expected) return message;
  if (operation.error.empty())
    operation.error = fmt::format(
        "{}: rank {} called {} and sends {} bytes instead of {}; all ranks must make the same "
        "calls",
        operation.where, source, name_of(message->call), message->total, expected);
  return nullptr;
}

void SharedGroup::pass(SharedOperation::Source& source, int rank, int64_t bytes) {
  rings_->pass(rank);
  source.received += bytes;
  source.ended = source.received == source.bytes;
}

bool SharedGroup::store_next(SharedOperation& operation, int source) {
  const SharedMessage* message = next(operation, source);
  if (message == nullptr) return false;
  auto& from = operation.sources[static_cast<size_t>(source)];
  if (message->bytes > 0)
    std::memcpy(from.to + from.received, rings_->data(source, *message),
                static_cast<size_t>(message->bytes));
  pass(from, source, message->bytes);
  return true;
}

/// Sums the next piece of all ranks, when it is there; pieces of one call are cut alike on all of them.
bool SharedGroup::sum_next(SharedOperation& operation) {
  std::vector<const void*> parts(static_cast<size_t>(ranks_));
  int64_t bytes = 0, at = 0;
  for (int rank = 0; rank < ranks_; ++rank) {
    if (rank == rank_) continue;
    const SharedMessage* message = next(operation, rank);
    if (message == nullptr) return false;
    bytes = message->bytes;
    at = operation.sources[static_cast<size_t>(rank)].received;
    parts[static_cast<size_t>(rank)] = rings_->data(rank, *message);
  }
  parts[static_cast<size_t>(rank_)] = operation.sum.own + at;
  const auto item = static_cast<int64_t>(c10::elementSize(operation.sum.type));
  if (bytes > 0) sum_parts(operation.sum.out + at, parts, bytes / item, operation.sum.type);
  for (int rank = 0; rank < ranks_; ++rank)
    if (rank != rank_) pass(operation.sources[static_cast<size_t>(rank)], rank, bytes);
  return true;
}

void SharedGroup::read(SharedOperation& operation) {
  bool ended = true;
  if (operation.sum.out != nullptr) {
    const size_t other = rank_ == 0 ? 1 : 0;
    while (!operation.sources[other].ended && sum_next(operation)) {
    }
    ended = operation.sources[other].ended;
  } else {
    for (int source = 0; source < ranks_; ++source) {
      auto& from = operation.sources[static_cast<size_t>(source)];
      if (source == rank_ || from.bytes < 0) continue;
      while (!from.ended && store_next(operation, source)) {
      }
      ended = ended && from.ended;
    }
  }
  operation.done = ended && operation.written;
}

void SharedGroup::turn() {
  bool writes = true;  // messages are written in the order of calls
  for (const auto& operation : operations_) {
    if (operation->done) continue;
    writes = writes && write(*operation);
    if (operation->error.empty() && (writes || !operation->in_place)) read(*operation);
  }
  while (!operations_.empty() && operations_.front()->done) operations_.pop_front();
}

std::string SharedGroup::missing(const SharedOperation& operation) const {
  std::string text;
  for (int rank = 0; rank < ranks_; ++rank) {
    if (rank == rank_) continue;
    const auto last = rings_->last_call(rank);
    if (last.number >= operation.number) continue;
    text += fmt::format("{}{} ({} behind{}; {})", text.empty() ? "missing ranks: " : ", ", rank,
                        operation.number - last.number,
                        last.number > 0 ? fmt::format(", at {}", name_of(last.call)) : "",
                        rings_->status(rank));
  }
  if (!text.empty()) return text;
  for (int rank = 0; rank < ranks_; ++rank)
    if (rank != rank_)
      text += fmt::format("{}rank {} {}", text.empty() ? "" : ", ", rank, rings_->status(rank));
  return "every rank has called it: " + text;
}

void SharedProgress::add(SharedGroup& group) {
  const std::lock_guard lock(mutex_);
  groups_.push_back(&group);
}

void SharedProgress::remove(SharedGroup& group) {
  const std::lock_guard lock(mutex_);
  std::erase(groups_, &group);
}

void SharedProgress::start(SharedGroup& group, std::shared_ptr<SharedOperation> operation) {
  const std::lock_guard lock(mutex_);
  group.start(std::move(operation));
  group.turn();
}

/// Whether the operation has ended. Other groups' too, for a peer may wait for those first.
bool SharedProgress::turn(const SharedOperation& operation) {
  const std::lock_guard lock(mutex_);
  for (SharedGroup* group : groups_) group->turn();
  return operation.done || !operation.error.empty();
}

void SharedProgress::set_status(const std::string& text) {
  const std::lock_guard lock(mutex_);
  for (SharedGroup* group : groups_)
    if (group->has_rings()) group->rings().set_status(text);
}

void SharedProgress::wait(SharedGroup& group, SharedOperation& operation,
                          std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  bool said = false;
  for (int turns = 0; !turn(operation); ++turns) {
    if (turns < kEagerTurns) {
      relax();
      continue;
    }
    turns < kYieldingTurns ? std::this_thread::yield() : std::this_thread::sleep_for(kPause);
    if (turns >= kSilentTurns && !std::exchange(said, true))
      set_status(fmt::format("{}, {}", operation.where, group.missing(operation)));
    require<CommError>(Clock::now() < deadline, "{}: timed out after {}; {}", operation.where,
                       seconds_text(timeout), group.missing(operation));
  }
  if (said) set_status("");
  require<CommError>(operation.error.empty(), "{}", operation.error);
}

}  // namespace veomni::comm
