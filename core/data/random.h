#pragma once
// Counter-based randomness: a value depends on its key and counter alone, never on what was drawn
// before.

#include <cstdint>
#include <initializer_list>

namespace veomni {

/// A bijection of 64 bits whose outputs look independent (Steele, Lea, Flood 2014: SplitMix64's
/// finaliser).
inline uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// One key from several numbers, for example (seed, purpose, source, epoch).
inline uint64_t mix_key(std::initializer_list<uint64_t> parts) {
  uint64_t key = 0;
  for (const uint64_t part : parts) key = mix64(key ^ mix64(part));
  return key;
}

/// A number below `bound` (at least 1) from 64 random bits.
inline uint64_t below(uint64_t bits, uint64_t bound) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>((static_cast<Wide>(bits) * bound) >> 64);
}

/// A number in [0, 1) from 64 random bits.
inline double unit(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1.0p-53; }

/// A keyed permutation of 0..size-1, any element computable by itself: a generalised Feistel
/// network over a × b ≥ size with cycle walking (Black and Rogaway 2002).
class Permutation {
 public:
  Permutation(int64_t size, uint64_t key);
  int64_t operator()(int64_t index) const;

 private:
  static constexpr uint64_t kRounds = 6;
  uint64_t size_, key_, a_, b_;
};

}  // namespace veomni
