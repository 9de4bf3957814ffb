#include "core/data/random.h"

#include <cmath>

namespace veomni {

Permutation::Permutation(int64_t size, uint64_t key)
    : size_(static_cast<uint64_t>(size)), key_(key) {
  a_ = static_cast<uint64_t>(std::sqrt(static_cast<double>(size_)));
  while (a_ * a_ < size_) ++a_;
  if (a_ == 0) a_ = 1;
  b_ = (size_ + a_ - 1) / a_;
}

int64_t Permutation::operator()(int64_t index) const {
  uint64_t x = static_cast<uint64_t>(index);
  do {
    uint64_t left = x % a_, right = x / a_;
    for (uint64_t round = 0; round < 2 * kRounds; round += 2) {
      left += below(mix64(key_ ^ mix64((right << 8) | round)), a_);
      if (left >= a_) left -= a_;
      right += below(mix64(key_ ^ mix64((left << 8) | (round + 1))), b_);
      if (right >= b_) right -= b_;
    }
    x = left + a_ * right;
  } while (x >= size_);
  return static_cast<int64_t>(x);
}

}  // namespace veomni
