#include "core/data/grid_positions.h"

#include <algorithm>
#include <map>

namespace veomni {
namespace {

/// Writes the positions of one sample, token by token.
class Walk {
 public:
  Walk(int64_t* temporal, int64_t tokens)
      : out_{temporal, temporal + tokens, temporal + 2 * tokens} {}

  void text(int64_t count) {
    for (int64_t i = 0; i < count; ++i, ++next_) put(next_, next_, next_);
  }

  void grid(const std::array<int64_t, 3>& size) {
    const int64_t start = next_;
    for (int64_t frame = 0; frame < size[0]; ++frame)
      for (int64_t row = 0; row < size[1]; ++row)
        for (int64_t column = 0; column < size[2]; ++column)
          put(start + frame, start + row, start + column);
    next_ = start + std::max({size[0], size[1], size[2]});
  }

 private:
  void put(int64_t t, int64_t h, int64_t w) {
    *out_[0]++ = t;
    *out_[1]++ = h;
    *out_[2]++ = w;
  }

  int64_t* out_[3];
  int64_t next_ = 0;
};

}  // namespace

std::vector<int64_t> grid_positions(const Pack& pack) {
  const int64_t tokens = pack.token_count();
  std::vector<int64_t> positions(static_cast<size_t>(3 * tokens));
  std::map<int64_t, const PartInput*> pieces;  // by first token
  for (const auto& piece : pack.pieces)
    if (!piece.input->grids.empty()) pieces[piece.position] = piece.input.get();
  auto piece = pieces.begin();
  for (size_t s = 0; s + 1 < pack.cu_seqlens.size(); ++s) {
    int64_t at = pack.cu_seqlens[s];
    const int64_t end = pack.cu_seqlens[s + 1];
    Walk walk(positions.data() + at, tokens);
    for (; piece != pieces.end() && piece->first < end; ++piece) {
      walk.text(piece->first - at);
      for (const auto& grid : piece->second->grids) walk.grid(grid);
      at = piece->first + piece->second->token_count;
    }
    walk.text(end - at);
  }
  return positions;
}

}  // namespace veomni
