#pragma once
// How operands of products stand in memory as the tile unit reads them: in steps of depth, each of three parts of two
// tiles. Only for amx_*.cpp. M rows, N columns, K depth

#include <immintrin.h>

#include "kernels/cpu/loops.h"

namespace veomni::kernels::amx {

constexpr int64_t kLines = 16;      ///< rows of a tile of A and C, columns of one of B
constexpr int64_t kTileDepth = 32;  ///< bf16 of each
constexpr int64_t kTileBytes = kLines * kTileDepth * 2;
constexpr int64_t kSide = 2 * kLines;  ///< C is made 2 × 2 tiles at a time
constexpr int64_t kStepBytes =
    3 * 2 * kTileBytes;                    ///< [part, tile of the side] at one step of depth
constexpr int64_t kPart = 2 * kTileBytes;  ///< from one part to the next
constexpr int64_t kSidesAtOnce =
    128 / kSide;  ///< of rows of A: they stay in the second-level cache

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }
inline int64_t steps_of(int64_t depth) { return (depth + kTileDepth - 1) / kTileDepth; }
inline __mmask16 first(int64_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xffff : count <= 0 ? 0 : (1 << count) - 1);
}

inline char* bytes(float* memory) { return reinterpret_cast<char*>(memory); }

/// Where columns [n, n + kSide) of the block of depth that begins at k stand in `packed`; both are multiples.
inline char* panel(const MatrixArgs& m, int64_t n, int64_t k) {
  const int64_t depth = round_up(smaller(kMatrixDepth, m.depth - k), kTileDepth);
  return bytes(m.packed) + 6 * (k * round_up(m.cols, kSide) + n * depth);
}

/// A side of A: rows [row, row + kSide), depth [k, k + depth), zeros past its edges.
void fill_side_of_a(const MatrixArgs& m, int64_t row, int64_t k, int64_t depth, char* tiles);

/// The loops of the same names (loops.h).
int64_t matrix_packed(const MatrixArgs& m);
int64_t matrix_pack_units(const MatrixArgs& m);
void matrix_pack(const MatrixArgs& m, int64_t begin, int64_t end);
void matrix_pack_rows(const MatrixArgs& m, const float* rows, int64_t begin, int64_t end);

}  // namespace veomni::kernels::amx
