#pragma once
// A hash table from pairs of 32-bit numbers to two 32-bit numbers: merges of BPE, edges of a trie.

#include <cstdint>
#include <vector>

namespace veomni {

/// Filled once, then only read. Open addressing, at most half full; keys are never removed.
class PairTable {
 public:
  struct Value {
    int32_t first = -1, second = -1;
  };

  explicit PairTable(size_t expected = 0) {
    size_t slots = 16;
    while (slots < 2 * expected) slots *= 2;
    slots_.resize(slots);
  }

  /// Null when the pair is absent.
  const Value* find(int32_t left, int32_t right) const {
    const uint64_t key = key_of(left, right);
    for (size_t at = place(key);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].key == key) return &slots_[at].value;
      if (slots_[at].key == kFree) return nullptr;
    }
  }

  /// Adds the pair, or replaces its value. Both numbers must be 0 or more.
  void insert(int32_t left, int32_t right, Value value) {
    if (2 * (count_ + 1) > slots_.size()) grow();
    put(key_of(left, right), value);
  }

  size_t size() const { return count_; }

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};  // no pair of numbers from 0 on has this key
  struct Slot {
    uint64_t key = kFree;
    Value value;
  };

  static uint64_t key_of(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  size_t place(uint64_t key) const {
    key *= 0x9E3779B97F4A7C15u;  // Fibonacci hashing; the high bits are the well mixed ones
    return static_cast<size_t>(key >> 32 ^ key >> 15) & (slots_.size() - 1);
  }
  void put(uint64_t key, Value value) {
    size_t at = place(key);
    while (slots_[at].key != kFree && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
    count_ += slots_[at].key == kFree ? 1 : 0;
    slots_[at] = {key, value};
  }
  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    count_ = 0;
    for (const Slot& slot : old)
      if (slot.key != kFree) put(slot.key, slot.value);
  }

  std::vector<Slot> slots_;
  size_t count_ = 0;
};

}  // namespace veomni
