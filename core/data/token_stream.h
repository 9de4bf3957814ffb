#pragma once
// Format `text`: whole files as one stream of tokens, cut into windows.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/data/sample.h"

namespace veomni {

/// Token ids in the narrowest integers that hold them.
class TokenStream {
 public:
  TokenStream() : ids_(std::vector<uint8_t>{}) {}
  /// Ids below `vocab`.
  TokenStream(const std::vector<int64_t>& ids, int64_t vocab);
  int64_t size() const;
  /// Ids [begin, end), inside the stream.
  void copy(int64_t begin, int64_t end, std::vector<int64_t>& out) const;

 private:
  std::variant<std::vector<uint8_t>, std::vector<uint16_t>, std::vector<int32_t>> ids_;
};

/// Windows over the tokens [begin, end) of a stream: inputs [start, start + length), labels the
/// tokens one later.
///
/// Training: `count` whole windows of `window_tokens`, all moved by a phase in [0, phases) that
/// differs from epoch to epoch, so that the text is not cut at the same places each time; up to one
/// window's worth of tokens is left out of an epoch. Evaluation: phase 0 and a shorter last window,
/// so that every token but the first is predicted exactly once. A split shorter than a window gives
/// one short window.
struct TextWindows {
  TextWindows() = default;
  TextWindows(int64_t split_begin, int64_t split_end, int64_t window, bool train);

  int64_t begin = 0, end = 0, window_tokens = 1;
  int64_t count = 0;  ///< windows; 0 when the split has fewer than two tokens
  int64_t phases = 1;

  struct Span {
    int64_t start, length;
  };
  Span span(int64_t index, int64_t phase) const;
};

}  // namespace veomni
