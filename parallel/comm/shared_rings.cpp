#include "parallel/comm/shared_rings.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>

namespace veomni::comm {
namespace {

// A rank's part of the segment: counters, each in a cache line of its own (messages written, the last call, its process,
// messages read by each rank), then what it waits for, then slots, then bytes.
constexpr int64_t kLine = 64;
enum Counters { kWritten, kLastCall, kProcess, kRead };

int64_t lines(int64_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }
int64_t counters_bytes(int ranks) {
  return (kRead + ranks) * kLine + lines(SharedRings::kStatusBytes);
}
int64_t slots_bytes() {
  return lines(static_cast<int64_t>(SharedRings::kSlots * sizeof(SharedMessage)));
}
int64_t rank_bytes(int ranks) {
  constexpr int64_t kPage = 4096;
  const int64_t bytes = counters_bytes(ranks) + slots_bytes() + SharedRings::kRingBytes;
  return (bytes + kPage - 1) / kPage * kPage;
}

constexpr int kCallBits = 8;

/// The letter of /proc/PID/stat (proc(5)): R, S, T, …; 0 where there is no such process.
char process_state(uint64_t process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  std::string text;
  std::getline(file, text);
  const size_t name_end = text.rfind(')');
  return name_end == std::string::npos || name_end + 2 >= text.size() ? '\0' : text[name_end + 2];
}

}  // namespace

const char* name_of(SharedCall call) {
  constexpr const char* kNames[] = {"barrier",        "all_reduce", "all_gather",
                                    "reduce_scatter", "all_to_all", "broadcast"};
  const auto index = static_cast<size_t>(call);
  return index < std::size(kNames) ? kNames[index] : "unknown call";
}

int64_t SharedRings::segment_bytes(int ranks) { return ranks * rank_bytes(ranks); }

SharedRings::SharedRings(std::unique_ptr<SharedSegment> segment, int rank, int ranks)
    : segment_(std::move(segment)), rank_(rank), ranks_(ranks) {
  counter(rank_, kProcess) = static_cast<uint64_t>(getpid());
}

SharedRings::Counter& SharedRings::counter(int rank, int which) const {
  return *reinterpret_cast<Counter*>(segment_->data() + rank * rank_bytes(ranks_) + which * kLine);
}

SharedRings::Counter& SharedRings::written(int rank) const { return counter(rank, kWritten); }

SharedRings::Counter& SharedRings::read(int source, int reader) const {
  return counter(source, kRead + reader);
}

SharedMessage& SharedRings::slot(int source, uint64_t index) const {
  char* slots = segment_->data() + source * rank_bytes(ranks_) + counters_bytes(ranks_);
  return reinterpret_cast<SharedMessage*>(slots)[index % kSlots];
}

const char* SharedRings::data(int source, const SharedMessage& message) const {
  return segment_->data() + source * rank_bytes(ranks_) + counters_bytes(ranks_) + slots_bytes() +
         message.offset;
}

uint64_t SharedRings::read_by_all() {
  uint64_t least = next_index_;
  for (int reader = 0; reader < ranks_; ++reader)
    if (reader != rank_)
      least = std::min(least, read(rank_, reader).load(std::memory_order_acquire));
  return least;
}

/// Where `bytes` of the ring are free, or -1. When everything has been read the ring starts again at its first byte, so
/// that small messages stay in the caches.
int64_t SharedRings::reserve(int64_t bytes) {
  if (used_.empty()) return 0;
  const int64_t tail = used_.front().begin;
  if (head_ > tail) {
    if (kRingBytes - head_ >= bytes) return head_;
    return tail > bytes ? 0 : -1;
  }
  return tail - head_ > bytes ? head_ : -1;
}

bool SharedRings::write(SharedMessage message, const char* from) {
  const uint64_t done = read_by_all();
  while (!used_.empty() && used_.front().index < done) used_.pop_front();
  if (next_index_ - done >= kSlots) return false;
  if (message.bytes > 0) {
    message.offset = reserve(lines(message.bytes));
    if (message.offset < 0) return false;
    std::memcpy(const_cast<char*>(data(rank_, message)), from, static_cast<size_t>(message.bytes));
    used_.push_back({next_index_, message.offset});
    head_ = message.offset + lines(message.bytes);
  }
  slot(rank_, next_index_) = message;
  written(rank_).store(++next_index_, std::memory_order_release);
  return true;
}

const SharedMessage* SharedRings::next(int source) {
  Counter& mine = read(source, rank_);
  for (uint64_t index = mine.load(std::memory_order_relaxed);
       index < written(source).load(std::memory_order_acquire); ++index) {
    const SharedMessage& message = slot(source, index);
    if (message.to == kToAll || message.to == rank_) return &message;
    mine.store(index + 1, std::memory_order_release);
  }
  return nullptr;
}

void SharedRings::pass(int source) { read(source, rank_).fetch_add(1, std::memory_order_release); }

void SharedRings::set_last_call(uint64_t number, SharedCall call) {
  counter(rank_, kLastCall)
      .store(number << kCallBits | static_cast<uint64_t>(call), std::memory_order_relaxed);
}

char* SharedRings::status_text(int rank) const {
  return segment_->data() + rank * rank_bytes(ranks_) + (kRead + ranks_) * kLine;
}

void SharedRings::set_status(const std::string& text) {
  const auto size = std::min(text.size(), static_cast<size_t>(kStatusBytes - 1));
  char* status = status_text(rank_);
  std::memcpy(status, text.data(), size);
  status[size] = 0;
}

std::string SharedRings::status(int rank) const {
  const std::string text(status_text(rank), strnlen(status_text(rank), kStatusBytes - 1));
  const char state = process_state(counter(rank, kProcess).load());
  if (state == 'T' || state == 't') return "is stopped";
  if (state == 0 || state == 'Z') return "is gone";
  return text.empty() ? "computes" : "waits in " + text;
}

SharedRings::LastCall SharedRings::last_call(int rank) const {
  const uint64_t both = counter(rank, kLastCall).load(std::memory_order_relaxed);
  return {both >> kCallBits, static_cast<SharedCall>(both & ((1U << kCallBits) - 1))};
}

}  // namespace veomni::comm
