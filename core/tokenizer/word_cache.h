#pragma once
// Remembers the ids of words already seen: most words of a text are repetitions.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace veomni {

/// A hash table of bounded size; when it is full it starts anew.
class WordCache {
 public:
  static constexpr size_t kLongestWord = 128;  ///< bytes; longer words are not kept

  struct Ids {
    const int32_t* data = nullptr;
    size_t size = 0;
  };

  /// `data` is null when the word is not known; it stays good until the next `put`.
  Ids find(std::string_view word) {
    const uint64_t hash = hash_of(word);
    for (size_t at = hash & (kSlots - 1); slots_.size() > at; at = (at + 1) & (kSlots - 1)) {
      const Slot& slot = slots_[at];
      if (slot.key_bytes == kFree) break;
      if (slot.hash == static_cast<uint32_t>(hash >> 32) && slot.key_bytes == word.size() &&
          std::memcmp(keys_.data() + slot.key, word.data(), word.size()) == 0)
        return {ids_.data() + slot.ids, slot.id_count};
    }
    return {};
  }

  /// `word` is not in the cache and at most kLongestWord bytes long.
  void put(std::string_view word, const int32_t* ids, size_t id_count) {
    if (id_count > UINT16_MAX) return;
    if (slots_.empty() || count_ >= kSlots / 2) clear();
    const uint64_t hash = hash_of(word);
    size_t at = hash & (kSlots - 1);
    while (slots_[at].key_bytes != kFree) at = (at + 1) & (kSlots - 1);
    slots_[at] = {static_cast<uint32_t>(hash >> 32), static_cast<uint32_t>(keys_.size()),
                  static_cast<uint32_t>(ids_.size()), static_cast<uint16_t>(word.size()),
                  static_cast<uint16_t>(id_count)};
    keys_.append(word);
    ids_.insert(ids_.end(), ids, ids + id_count);
    ids_.reserve(ids_.size() + 1);  // `data` of a word without ids must not be null
    ++count_;
  }

 private:
  static constexpr size_t kSlots = size_t{1} << 16;
  static constexpr uint16_t kFree = UINT16_MAX;
  struct Slot {
    uint32_t hash = 0, key = 0, ids = 0;  // places in keys_ and ids_
    uint16_t key_bytes = kFree, id_count = 0;
  };

  void clear() {
    slots_.assign(kSlots, Slot{});
    keys_.clear(), ids_.clear();
    count_ = 0;
  }

  static uint64_t hash_of(std::string_view word) {
    constexpr uint64_t kOdd = 0x9E3779B97F4A7C15u;
    uint64_t hash = word.size() * kOdd, part = 0;
    size_t at = 0;
    for (; at + 8 <= word.size(); at += 8) {
      std::memcpy(&part, word.data() + at, 8);
      hash = (hash ^ part) * kOdd, hash ^= hash >> 29;
    }
    part = 0;
    for (size_t i = at; i < word.size(); ++i) part = part << 8 | static_cast<uint8_t>(word[i]);
    hash = (hash ^ part) * kOdd;
    return hash ^ hash >> 31;
  }

  std::vector<Slot> slots_;
  std::string keys_;
  std::vector<int32_t> ids_;
  size_t count_ = 0;
};

}  // namespace veomni
