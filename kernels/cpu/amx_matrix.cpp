// f32 matrix products on the tile unit of Intel's processors (AMX), which multiplies bf16 into f32 alone, but at some
// ten times the speed of f32. Each f32 is cut into three bf16 whose sum it is (24 bits of mantissa are 3 × 8), and of
// the nine products of parts those six are made that reach an f32's last bits: as exact as f32, at twice its speed
// (Henry, Tang and Heinecke 2019, arXiv:1904.06376). What differs: an infinity gives NaN, so does a number beyond
// 3.39e38, and parts below 1.2e-38 are lost. M rows, N columns, K depth
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/cpu/amx.h"
#include "kernels/cpu/amx_tiles.h"

namespace veomni::kernels::amx {
namespace {

// The compiler knows tiles by number: C in 0 to 3 (row by row), A in 4 and 5, B in 6 and 7.
template <int kRows>
void load_a(const char* a) {
  _tile_loadd(4, a, 64);
  if constexpr (kRows == 2) _tile_loadd(5, a + kTileBytes, 64);
}
template <int kCols>
void load_b(const char* b) {
  _tile_loadd(6, b, 64);
  if constexpr (kCols == 2) _tile_loadd(7, b + kTileBytes, 64);
}
template <int kRows, int kCols>
void multiply_add() {
  _tile_dpbf16ps(0, 4, 6);
  if constexpr (kCols == 2) _tile_dpbf16ps(1, 4, 7);
  if constexpr (kRows == 2) _tile_dpbf16ps(2, 5, 6);
  if constexpr (kRows == 2 && kCols == 2) _tile_dpbf16ps(3, 5, 7);
}

/// One product of a side of A with a side of B.
struct Sides {
  const char *a, *b;
  int64_t steps;  ///< of depth
  /// What the products need next of B, `lines` of 64 bytes a step: it comes from far away, and no hardware foresees it.
  const char* next;
  int64_t lines;
};

/// kRows × kCols tiles of C. The small products come first: what they are rounded by then does not show in the sum.
template <int kRows, int kCols>
void product(const Sides& sides, float* c, int64_t c_row, bool add) {
  const int64_t stride = c_row * 4;
  float* below = c + kLines * c_row;
  if (add) {
    _tile_loadd(0, c, stride);
    if constexpr (kCols == 2) _tile_loadd(1, c + kLines, stride);
    if constexpr (kRows == 2) _tile_loadd(2, below, stride);
    if constexpr (kRows == 2 && kCols == 2) _tile_loadd(3, below + kLines, stride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const char *a = sides.a, *b = sides.b, *next = sides.next;
  constexpr int64_t kMiddle = kPart, kLow = 2 * kPart;
  for (int64_t s = 0; s < sides.steps; ++s, a += kStepBytes, b += kStepBytes) {
    load_a<kRows>(a);
    load_b<kCols>(b + kLow);
    multiply_add<kRows, kCols>();
    load_b<kCols>(b + kMiddle);
    multiply_add<kRows, kCols>();
    load_a<kRows>(a + kMiddle);
    multiply_add<kRows, kCols>();
    for (int64_t i = 0; i < sides.lines; ++i, next += 64) __builtin_prefetch(next, 0, 2);
    load_b<kCols>(b);
    multiply_add<kRows, kCols>();
    load_a<kRows>(a + kLow);
    multiply_add<kRows, kCols>();
  }
  a = sides.a;
  b = sides.b;
  for (int64_t s = 0; s < sides.steps; ++s, a += kStepBytes, b += kStepBytes) {
    load_a<kRows>(a);
    load_b<kCols>(b);
    multiply_add<kRows, kCols>();
  }
  _tile_stored(0, c, stride);
  if constexpr (kCols == 2) _tile_stored(1, c + kLines, stride);
  if constexpr (kRows == 2) _tile_stored(2, below, stride);
  if constexpr (kRows == 2 && kCols == 2) _tile_stored(3, below + kLines, stride);
}

void tiles_of_c(const Sides& sides, float* c, int64_t c_row, int64_t rows, int64_t cols, bool add) {
  if (rows > kLines)
    cols > kLines ? product<2, 2>(sides, c, c_row, add) : product<2, 1>(sides, c, c_row, add);
  else
    cols > kLines ? product<1, 2>(sides, c, c_row, add) : product<1, 1>(sides, c, c_row, add);
}

/// A side that reaches past the edge of C: made aside, then its valid part copied or added.
void edge_of_c(const Sides& sides, float* c, int64_t c_row, int64_t rows, int64_t cols, bool add) {
  alignas(64) float aside[kSide * kSide];
  tiles_of_c(sides, aside, kSide, rows, cols, false);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t n = 0; n < cols; n += kLines) {
      const __mmask16 there = first(cols - n);
      __m512 sum = _mm512_load_ps(aside + r * kSide + n);
      if (add) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(there, c + r * c_row + n));
      _mm512_mask_storeu_ps(c + r * c_row + n, there, sum);
    }
}

/// Sides [begin, end) of rows, of one block of depth; `tiles`: memory for A's.
void block_rows(const MatrixArgs& m, int64_t begin, int64_t end, int64_t k, char* tiles) {
  const int64_t depth = smaller(kMatrixDepth, m.depth - k), steps = steps_of(depth);
  const int64_t side_bytes = steps * kStepBytes;
  for (int64_t t = begin; t < end; ++t)
    fill_side_of_a(m, t * kSide, k, depth, tiles + (t - begin) * side_bytes);
  const int64_t lines = kStepBytes / 64 / (end - begin);
  for (int64_t n = 0; n < m.cols; n += kSide) {
    const char* b = panel(m, n, k);
    const bool last = n + kSide >= m.cols;
    const int64_t cols = smaller(kSide, m.cols - n);
    for (int64_t t = begin; t < end; ++t) {
      const int64_t rows = smaller(kSide, m.rows - t * kSide);
      const bool whole = rows % kLines == 0 && cols % kLines == 0;
      const Sides sides{tiles + (t - begin) * side_bytes, b, steps,
                        b + side_bytes + (t - begin) * lines * 64 * steps, last ? 0 : lines};
      (whole ? tiles_of_c : edge_of_c)(sides, m.c + t * kSide * m.c_row + n, m.c_row, rows, cols,
                                       m.add || k > 0);
    }
  }
}

/// What the tile registers are, as the processor reads it: 8 tiles of 16 lines of 64 bytes.
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t line_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t lines[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

void matrix_rows(const MatrixArgs& m, int64_t begin, int64_t end, float* scratch) {
  const TileShapes shapes;
  _tile_loadconfig(&shapes);
  for (int64_t k = 0; k < m.depth; k += kMatrixDepth)
    for (int64_t t = begin; t < end; t += kSidesAtOnce)
      block_rows(m, t, smaller(end, t + kSidesAtOnce), k, bytes(scratch));
  _tile_release();
}

}  // namespace

bool available() {
  constexpr int kRequestPermission = 0x1023,
                kTileData = 18;  // asm/prctl.h: the kernel grants the registers on request
  return __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

void fill_matrix(Loops& loops) {
  loops.matrix_tile = kSide;
  loops.matrix_packed = matrix_packed;
  loops.matrix_pack_units = matrix_pack_units;
  loops.matrix_pack = matrix_pack;
  loops.matrix_pack_rows = matrix_pack_rows;
  loops.matrix_rows = matrix_rows;
}

}  // namespace veomni::kernels::amx
