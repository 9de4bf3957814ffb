// f32 matrix products on the tile unit of Intel's processors (AMX), which multiplies bf16 into f32 alone, but at some
// ten times the speed of f32. Each f32 is cut into three bf16 whose sum it is (24 bits of mantissa are 3 × 8), and of
// the nine products of parts those six are made that reach an f32's last bits: as exact as f32, at twice its speed
// (Henry, Tang and Heinecke 2019, arXiv:1904.06376). What differs: an infinity gives NaN, so does a number beyond
// 3.39e38, and parts below 1.2e-38 are lost. M rows, N columns, K depth
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/cpu/amx.h"

namespace veomni::kernels::amx {
namespace {

constexpr int64_t kLines = 16;      ///< rows of a tile of A and C, columns of one of B
constexpr int64_t kTileDepth = 32;  ///< bf16 of each
constexpr int64_t kTileBytes = kLines * kTileDepth * 2;
constexpr int64_t kSide = 2 * kLines;  ///< C is made 2 × 2 tiles at a time
constexpr int64_t kStepBytes =
    3 * 2 * kTileBytes;                    ///< [part, tile of the side] at one step of depth
constexpr int64_t kPart = 2 * kTileBytes;  ///< from one part to the next
constexpr int64_t kSidesAtOnce =
    128 / kSide;  ///< of rows of A: they stay in the second-level cache

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }
int64_t steps_of(int64_t depth) { return (depth + kTileDepth - 1) / kTileDepth; }
__mmask16 first(int64_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xffff : count <= 0 ? 0 : (1 << count) - 1);
}

struct Parts {
  __m512i part[3];  ///< bf16 in the upper halves; zero in the lower
};

__m512i rounded_to_bf16(__m512 x) {
  return _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000)),
                          _mm512_set1_epi32(static_cast<int>(0xffff0000)));
}

Parts cut(__m512 x) {
  const __m512i high = rounded_to_bf16(x);
  x = _mm512_sub_ps(x, _mm512_castsi512_ps(high));
  const __m512i middle = rounded_to_bf16(x);
  return {high, middle, _mm512_castps_si512(_mm512_sub_ps(x, _mm512_castsi512_ps(middle)))};
}

/// 16 × 16 numbers of 32 bits, in place.
void transpose(__m512i (&v)[kLines]) {
  __m512i t[kLines];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xdd);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    v[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    v[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

/// A side of one tile: `lines` × `depth` numbers, zeros past them.
struct Source {
  const float* from;
  int64_t line, depth;  ///< steps; one of them is 1
  int64_t lines_left, depth_left;
};

/// Numbers that follow each other along the lines: put(part, i, v) gets depth 2i and 2i + 1 of all lines, i < pairs: a line
/// of B's tiles.
template <class Put>
void cut_pairs(const Source& s, int64_t pairs, const Put& put) {
  const __mmask16 lines = first(s.lines_left);
  for (int64_t i = 0; i < pairs; ++i) {
    const float* at = s.from + 2 * i * s.depth;
    const bool even = 2 * i < s.depth_left, odd = 2 * i + 1 < s.depth_left;
    const Parts a = cut(_mm512_maskz_loadu_ps(even ? lines : 0, even ? at : s.from));
    const Parts b = cut(_mm512_maskz_loadu_ps(odd ? lines : 0, odd ? at + s.depth : s.from));
#pragma GCC unroll 3
    for (int p = 0; p < 3; ++p)
      put(p, i, _mm512_or_si512(_mm512_srli_epi32(a.part[p], 16), b.part[p]));
  }
}

/// Numbers that follow each other in depth: put(part, i, v) gets all depth of line i: a line of A's tiles.
template <class Put>
void cut_lines(const Source& s, const Put& put) {
  const __mmask16 low = first(s.depth_left), high = first(s.depth_left - 16);
  alignas(64) uint16_t picked[32];  // the upper half of each
  for (int i = 0; i < 32; ++i) picked[i] = static_cast<uint16_t>(2 * i + 1);
  const __m512i upper_halves = _mm512_load_si512(picked);
  for (int64_t i = 0; i < kLines; ++i) {
    const bool there = i < s.lines_left;
    const float* at = there ? s.from + i * s.line : s.from;
    const Parts a = cut(_mm512_maskz_loadu_ps(there ? low : 0, at));
    const Parts b = cut(_mm512_maskz_loadu_ps(there ? high : 0, high ? at + 16 : at));
#pragma GCC unroll 3
    for (int p = 0; p < 3; ++p)
      put(p, i, _mm512_permutex2var_epi16(a.part[p], upper_halves, b.part[p]));
  }
}

/// Three tiles, kPart from each other, in the order that B's (pairs) or A's tiles ask for.
template <bool kPairs>
void fill_tiles(const Source& source, char* tiles) {
  const auto put = [&](int p, int64_t i, __m512i v) {
    _mm512_store_si512(tiles + p * kPart + i * 64, v);
  };
  const bool pairs = source.line == 1;
  if (pairs == kPairs) return pairs ? cut_pairs(source, kLines, put) : cut_lines(source, put);
  __m512i parts[3][kLines];
  const auto keep = [&](int p, int64_t i, __m512i v) { parts[p][i] = v; };
  pairs ? cut_pairs(source, kLines, keep) : cut_lines(source, keep);
  for (int p = 0; p < 3; ++p) {
    transpose(parts[p]);
    for (int64_t i = 0; i < kLines; ++i) put(p, i, parts[p][i]);
  }
}

/// Both tiles of a side, all steps of depth.
template <bool kPairs>
void fill_side(Source source, char* tiles) {
  const Source whole = source;
  for (int64_t k = 0; k < whole.depth_left; k += kTileDepth, tiles += kStepBytes)
    for (int64_t t = 0; t < smaller(2, (whole.lines_left + kLines - 1) / kLines); ++t) {
      source.from = whole.from + k * whole.depth + t * kLines * whole.line;
      source.lines_left = whole.lines_left - t * kLines;
      source.depth_left = whole.depth_left - k;
      fill_tiles<kPairs>(source, tiles + t * kTileBytes);
    }
}

char* bytes(float* memory) { return reinterpret_cast<char*>(memory); }

int64_t matrix_packed(const MatrixArgs& m) {
  return round_up(m.cols, kSide) * round_up(m.depth, kTileDepth) * 3 / 2;
}

/// Where columns [n, n + kSide) of the block of depth that begins at k stand in `packed`; both are multiples.
char* panel(const MatrixArgs& m, int64_t n, int64_t k) {
  const int64_t depth = round_up(smaller(kMatrixDepth, m.depth - k), kTileDepth);
  return bytes(m.packed) + 6 * (k * round_up(m.cols, kSide) + n * depth);
}

/// A piece of the filling: a panel's block of depth.
int64_t matrix_pack_units(const MatrixArgs& m) {
  return (m.cols + kSide - 1) / kSide * ((m.depth + kMatrixDepth - 1) / kMatrixDepth);
}

void matrix_pack(const MatrixArgs& m, int64_t begin, int64_t end) {
  const int64_t panels = (m.cols + kSide - 1) / kSide;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t n = u % panels * kSide, k = u / panels * kMatrixDepth;
    fill_side<true>({m.b + n * m.b_col + k * m.b_depth, m.b_col, m.b_depth,
                     smaller(kSide, m.cols - n), smaller(kMatrixDepth, m.depth - k)},
                    panel(m, n, k));
  }
}

/// The line of the first part's tile that holds depth k (even) of columns [n, n + kLines).
char* line_of(const MatrixArgs& m, int64_t n, int64_t k) {
  const int64_t block = k / kMatrixDepth * kMatrixDepth;
  return panel(m, n / kSide * kSide, block) + (k - block) / kTileDepth * kStepBytes +
         n % kSide / kLines * kTileBytes + k % kTileDepth / 2 * 64;
}

/// One row into its halves of the pairs: the other half may be another thread's at this moment.
void pack_row(const MatrixArgs& m, const float* row, int64_t k) {
  for (int64_t n = 0; n < m.cols; n += kLines) {
    char* line = line_of(m, n, k / 2 * 2) + k % 2 * 2;
    const Parts parts = cut(_mm512_maskz_loadu_ps(first(m.cols - n), row + n));
    for (int p = 0; p < 3; ++p) {
      alignas(64) uint16_t halves[32];
      _mm512_store_si512(halves, parts.part[p]);
      for (int i = 0; i < kLines; ++i)
        __builtin_memcpy(line + p * kPart + 4 * i, &halves[2 * i + 1], 2);
    }
  }
}

/// Rows [k, k + depth) of one step; k is even.
void pack_pairs(const MatrixArgs& m, const float* rows, int64_t k, int64_t depth) {
  for (int64_t n = 0; n < m.cols; n += kLines) {
    char* line = line_of(m, n, k);
    cut_pairs(
        {rows + n, 1, m.b_depth, m.cols - n, depth}, (depth + 1) / 2,
        [&](int p, int64_t i, __m512i v) { _mm512_store_si512(line + p * kPart + i * 64, v); });
  }
}

/// Zeros past the last row: what stands there is multiplied too.
void clear_rest(const MatrixArgs& m) {
  const int64_t k = m.depth / 2 * 2 + m.depth % 2 * 2, lines = (kTileDepth - k % kTileDepth) / 2;
  if (k % kTileDepth == 0) return;
  for (int64_t n = 0; n < m.cols; n += kLines)
    for (int p = 0; p < 3; ++p)
      for (int64_t i = 0; i < lines; ++i)
        _mm512_store_si512(line_of(m, n, k) + p * kPart + i * 64, _mm512_setzero_si512());
}

void matrix_pack_rows(const MatrixArgs& m, const float* rows, int64_t begin, int64_t end) {
  const auto row = [&](int64_t k) { return rows + (k - begin) * m.b_depth; };
  const bool last = end == m.depth;
  int64_t k = begin, pairs_end = last ? end : end / 2 * 2;
  if (k % 2 == 1 && k < end) pack_row(m, row(k), k), ++k;
  while (k < pairs_end) {
    const int64_t depth = smaller(pairs_end - k, kTileDepth - k % kTileDepth);
    pack_pairs(m, row(k), k, depth);
    k += depth;
  }
  if (k < end) pack_row(m, row(k), k);
  if (last) clear_rest(m);
}

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
    fill_side<false>({m.a + t * kSide * m.a_row + k * m.a_depth, m.a_row, m.a_depth,
                      smaller(kSide, m.rows - t * kSide), depth},
                     tiles + (t - begin) * side_bytes);
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
