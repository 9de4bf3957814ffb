#pragma once
// A rank's share of the tokens of every pack, when several ranks share them.

#include <cstdint>
#include <vector>

namespace veomni {

/// Rank r of S takes the tokens [T r / S, T (r + 1) / S) of a row of T: any T, shares differ by at most one.
struct SequencePlace {
  int rank = 0, size = 1;

  int64_t begin(int64_t tokens, int of) const { return tokens * of / size; }
  int64_t begin(int64_t tokens) const { return begin(tokens, rank); }
  int64_t end(int64_t tokens) const { return begin(tokens, rank + 1); }
  std::vector<int64_t> counts(int64_t tokens) const {
    std::vector<int64_t> counts;
    for (int r = 0; r < size; ++r) counts.push_back(begin(tokens, r + 1) - begin(tokens, r));
    return counts;
  }
  /// Whose token `position` is.
  int owner(int64_t tokens, int64_t position) const {
    int r = static_cast<int>(position * size / tokens);
    while (position < begin(tokens, r)) --r;
    while (position >= begin(tokens, r + 1)) ++r;
    return r;
  }
};

}  // namespace veomni
