#include "kernels/cpu/row_pieces.h"

#include <algorithm>

namespace veomni::kernels::cpu {

RowPieces::RowPieces(const int32_t* cu_seqlens, int64_t samples, int64_t rows) : samples_(samples) {
  for (int64_t first = 0; first < samples;) {
    const int64_t begin = cu_seqlens[first], piece = count();
    int64_t end_sample = first + 1;
    while (end_sample < samples && cu_seqlens[end_sample + 1] - begin <= kRows) ++end_sample;
    cut(begin, cu_seqlens[end_sample]);
    chunks_.push_back({piece, count(), first, end_sample});
    first = end_sample;
  }
  const int64_t piece = count();
  cut(begins_.back(), rows);
  if (count() > piece) chunks_.push_back({piece, count(), samples, samples});
}

void RowPieces::cut(int64_t begin, int64_t end) {
  for (; begin < end; begin = begins_.back()) begins_.push_back(std::min(end, begin + kRows));
}

bool RowPieces::even(int64_t threads) const {
  if (threads == 1) return true;
  int64_t largest = 0;
  for (const Chunk& chunk : chunks_)
    largest = std::max(largest, begin(chunk.end_piece) - begin(chunk.first_piece));
  const auto chunks = static_cast<int64_t>(chunks_.size());
  const int64_t slowest = (chunks + threads - 1) / threads * largest;
  return slowest * threads * 20 <= begins_.back() * 21;  // within a twentieth
}

std::vector<Phase> RowPieces::phases(const Steps& steps, int64_t threads) const {
  if (!even(threads))
    return {{count(), steps.before},
            {samples_ * steps.heads,
             [steps](int64_t i, float* scratch) {
               steps.attention(i / steps.heads, i % steps.heads, scratch);
             }},
            {count(), steps.after}};
  const auto run = [this, steps](int64_t item, float* scratch) {
    const Chunk& chunk = chunks_[static_cast<size_t>(item)];
    for (int64_t p = chunk.first_piece; p < chunk.end_piece; ++p) steps.before(p, scratch);
    for (int64_t s = chunk.first_sample; s < chunk.end_sample; ++s)
      for (int64_t h = 0; h < steps.heads; ++h) steps.attention(s, h, scratch);
    for (int64_t p = chunk.first_piece; p < chunk.end_piece; ++p) steps.after(p, scratch);
  };
  return {{static_cast<int64_t>(chunks_.size()), run}};
}

}  // namespace veomni::kernels::cpu
