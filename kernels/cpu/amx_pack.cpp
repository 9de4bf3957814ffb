// Cuts each f32 into three bf16 whose sum it is, in the order the tile unit multiplies them.
#include "kernels/cpu/amx_tiles.h"

namespace veomni::kernels::amx {
namespace {

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

/// Where the numbers of one tile come from; there are zeros past those that are left.
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

/// The line of the first part's tile that holds depth k (even) of columns [n, n + kLines).
char* line_of(const MatrixArgs& m, int64_t n, int64_t k) {
  const int64_t block = k / kMatrixDepth * kMatrixDepth;
  return panel(m, n / kSide * kSide, block) + (k - block) / kTileDepth * kStepBytes +
         n % kSide / kLines * kTileBytes + k % kTileDepth / 2 * 64;
}

/// A row into its halves of the pairs: the other half may be another thread's at this moment.
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
  const int64_t k = (m.depth + 1) / 2 * 2, lines = (kTileDepth - k % kTileDepth) / 2;
  if (k % kTileDepth == 0) return;
  for (int64_t n = 0; n < m.cols; n += kLines)
    for (int p = 0; p < 3; ++p)
      for (int64_t i = 0; i < lines; ++i)
        _mm512_store_si512(line_of(m, n, k) + p * kPart + i * 64, _mm512_setzero_si512());
}

}  // namespace

void fill_side_of_a(const MatrixArgs& m, int64_t row, int64_t k, int64_t depth, char* tiles) {
  fill_side<false>({m.a + row * m.a_row + k * m.a_depth, m.a_row, m.a_depth,
                    smaller(kSide, m.rows - row), depth},
                   tiles);
}

int64_t matrix_packed(const MatrixArgs& m) {
  return round_up(m.cols, kSide) * round_up(m.depth, kTileDepth) * 3 / 2;
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

}  // namespace veomni::kernels::amx
