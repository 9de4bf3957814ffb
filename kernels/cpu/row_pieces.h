#pragma once
// How the rows of packed samples are dealt to threads that take them through a whole block.

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/cpu/phases.h"

namespace veomni::kernels::cpu {

/// Rows in pieces, pieces in chunks of whole samples. Depends on the samples alone, not on the number of threads.
class RowPieces {
 public:
  static constexpr int64_t kRows = 128;  ///< of a piece, at most

  /// cu_seqlens [samples + 1]; rows past its last entry belong to no sample.
  RowPieces(const int32_t* cu_seqlens, int64_t samples, int64_t rows);

  int64_t count() const { return static_cast<int64_t>(begins_.size()) - 1; }
  int64_t begin(int64_t piece) const { return begins_[static_cast<size_t>(piece)]; }
  int64_t rows(int64_t piece) const { return begin(piece + 1) - begin(piece); }

  struct Steps {
    std::function<void(int64_t piece, float*scratch)> before, after;
    std::function<void(int64_t sample, int64_t head, float* scratch)> attention;
    int64_t heads = 1;  ///< of keys and values: attention runs for each
  };
  /// Phases that run before, attention and after on everything: chunk by chunk, so that a chunk is still in the caches
  /// when its next step comes, where the chunks can be dealt evenly to `threads`; otherwise step by step.
  std::vector<Phase> phases(const Steps& steps, int64_t threads) const;

 private:
  struct Chunk {
    int64_t first_piece, end_piece, first_sample, end_sample;
  };
  bool even(int64_t threads) const;
  void cut(int64_t begin, int64_t end);

  std::vector<int64_t> begins_{0};
  std::vector<Chunk> chunks_;
  int64_t samples_;
};

}  // namespace veomni::kernels::cpu
