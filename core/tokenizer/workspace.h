#pragma once
// Memory that one call of encode or decode works in. Reused between calls, so that the inner loops
// allocate nothing; never shared by two threads at a time.

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "core/tokenizer/regex.h"
#include "core/tokenizer/word_cache.h"

namespace veomni {

/// A symbol of a word while BPE merges it; symbols form a list.
struct Symbol {
  int32_t id = 0;
  int32_t previous = -1, next = -1;  ///< places of the neighbours; -1: none
  bool alive = true;
};

/// A merge that may be done: of the symbol at `place` with the next one.
struct PossibleMerge {
  int32_t rank = 0, place = 0, id = 0;
};

/// The best path to a byte of a word (Unigram).
struct PathNode {
  double score = 0;
  int32_t start = -1, id = -1;  ///< of the last token; -1: not reached
};

struct Workspace {
  RegexScratch regex;
  WordCache cache;
  std::vector<Symbol> symbols;
  std::vector<PossibleMerge> merges;
  std::vector<PathNode> path;
  std::vector<int32_t> ids;
  std::deque<std::string> buffers;  ///< one for each pre-tokenizer; growing moves none

  std::string& buffer(size_t number) {
    while (buffers.size() <= number) buffers.emplace_back();
    return buffers[number];
  }
};

}  // namespace veomni
