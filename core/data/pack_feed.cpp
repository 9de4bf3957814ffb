#include "core/data/pack_feed.h"

#include <utility>

#include "core/error.h"

namespace veomni {

PackFeed::PackFeed(std::vector<std::unique_ptr<Lane>> lanes, int64_t workers) {
  for (auto& lane : lanes) {
    auto slot = std::make_unique<Slot>();
    slot->before = slot->delivered = lane->state();
    slot->finished = slot->produced_last = lane->finished();
    slot->lane = std::move(lane);
    slots_.push_back(std::move(slot));
  }
  for (int64_t i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
}

PackFeed::~PackFeed() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  room_.notify_all();
  for (auto& thread : threads_) thread.join();
}

PackFeed::Ready PackFeed::prepare(Lane& lane) {
  Ready ready;
  ready.pack = lane.next();
  ready.after = lane.state();
  ready.last = lane.finished();
  return ready;
}

PackFeed::Slot& PackFeed::slot(int64_t lane) const {
  for (const auto& slot : slots_)
    if (slot->lane->number() == lane) return *slot;
  throw Error(fmt::format("data: lane {} was not started on this rank", lane));
}

// The lane with room that has produced least; call with the mutex held.
PackFeed::Slot* PackFeed::pick() {
  Slot* best = nullptr;
  for (const auto& slot : slots_) {
    const bool open =
        !slot->busy && !slot->produced_last && !slot->error && slot->ready.size() < kAhead;
    if (open && (best == nullptr || slot->produced < best->produced)) best = slot.get();
  }
  return best;
}

void PackFeed::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    Slot* slot = nullptr;
    room_.wait(lock, [&] { return stop_ || (slot = pick()) != nullptr; });
    if (stop_) return;
    slot->busy = true;
    lock.unlock();
    Ready ready;
    std::exception_ptr error;
    try {
      ready = prepare(*slot->lane);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    slot->busy = false;
    ++slot->produced;
    slot->error = error;
    slot->produced_last = ready.last;
    if (!error) slot->ready.push_back(std::move(ready));
    ready_.notify_all();
    room_.notify_one();
  }
}

Pack PackFeed::next(int64_t lane) {
  std::unique_lock lock(mutex_);
  Slot& slot = this->slot(lane);
  if (slot.finished) {
    slot.before = slot.delivered;
    return {};
  }
  if (threads_.empty()) {
    slot.ready.push_back(prepare(*slot.lane));
  } else {
    ready_.wait(lock, [&] { return !slot.ready.empty() || slot.error; });
    if (slot.ready.empty()) std::rethrow_exception(slot.error);
  }
  Ready ready = std::move(slot.ready.front());
  slot.ready.pop_front();
  slot.before = std::exchange(slot.delivered, std::move(ready.after));
  slot.finished = ready.last;
  lock.unlock();
  room_.notify_one();
  return std::move(ready.pack);
}

bool PackFeed::finished(int64_t lane) const {
  const std::lock_guard lock(mutex_);
  return slot(lane).finished;
}

LaneState PackFeed::state(int64_t lane) const {
  const std::lock_guard lock(mutex_);
  return slot(lane).delivered;
}

LaneState PackFeed::state_before(int64_t lane) const {
  const std::lock_guard lock(mutex_);
  return slot(lane).before;
}

std::vector<int64_t> PackFeed::lanes() const {
  std::vector<int64_t> numbers;
  for (const auto& slot : slots_) numbers.push_back(slot->lane->number());
  return numbers;
}

}  // namespace veomni
