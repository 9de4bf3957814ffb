#pragma once
// What becomes of the matches of a pattern where text is cut: tokenizers' `behavior`.

#include "core/tokenizer/pre_tokenizer.h"

namespace veomni {

enum class CutBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// Gets the matches and what lies between them, in order and without gaps; hands on the words.
class SpanCutter {
 public:
  SpanCutter(CutBehavior behavior, std::string_view piece, bool first, Workspace& work,
             PieceSink& sink)
      : behavior_(behavior), piece_(piece), first_(first), work_(work), sink_(sink) {}

  /// The next span ends at `end`.
  void add(size_t end, bool is_match) {
    if (end == end_) return;
    const bool join =
        begin_ < end_ &&
        ((behavior_ == CutBehavior::contiguous && is_match == was_match_) ||
         (behavior_ == CutBehavior::merged_with_previous && is_match && !was_match_) ||
         (behavior_ == CutBehavior::merged_with_next && !is_match && was_match_));
    if (!join) flush();
    end_ = end, was_match_ = is_match;
  }

  /// Hands on what is held back; to be called at the end.
  void flush() {
    if (begin_ < end_ && !(was_match_ && behavior_ == CutBehavior::removed))
      sink_.take(piece_.substr(begin_, end_ - begin_), first_ && begin_ == 0, work_);
    begin_ = end_;
  }

 private:
  CutBehavior behavior_;
  std::string_view piece_;
  bool first_;
  Workspace& work_;
  PieceSink& sink_;
  size_t begin_ = 0, end_ = 0;  // the span held back
  bool was_match_ = false;
};

}  // namespace veomni
