// Matrix products of the sizes models have: B is copied once into panels that the inner loop reads in a straight
// line, tiles of C stay in registers (Goto and van de Geijn 2008, doi:10.1145/1356052.1356053, without its copy of A
// where A's rows are contiguous).
#include "kernels/cpu/tile.h"

namespace veomni::kernels::VEOMNI_ISA {
namespace {

constexpr int64_t kTilesAtOnce = 128 / kTileRows;  // rows of A that stay in the second-level cache

/// Rows [k, k + depth) of one block of depth of a row-major B, the first of them at `row` → their places in the panels,
/// read in a straight line.
void pack_rows(const MatrixArgs& m, const float* row, int64_t k, int64_t depth) {
  const int64_t block = k / kMatrixDepth * kMatrixDepth;
  const int64_t block_depth = smaller(kMatrixDepth, m.depth - block);
  const int64_t whole = m.cols / kPanel * kPanel, step = kPanel * block_depth;
  float* target = m.packed + block * round_up(m.cols, kPanel) + (k - block) * kPanel;
  for (int64_t d = 0; d < depth; ++d, target += kPanel, row += m.b_depth) {
    float* out = target;
    for (int64_t n = 0; n < whole; n += kPanel, out += step)
      for (int v = 0; v < kPanel; v += kLanes) save(out + v, load(row + n + v));
    if (whole == m.cols) continue;
    for (int64_t n = whole; n < m.cols; ++n) out[n - whole] = row[n];
    for (int64_t n = m.cols - whole; n < kPanel; ++n) out[n] = 0;
  }
}

void matrix_pack_rows(const MatrixArgs& m, const float* rows, int64_t begin, int64_t end) {
  for (int64_t k = begin; k < end;) {
    const int64_t depth = smaller(end - k, kMatrixDepth - k % kMatrixDepth);
    pack_rows(m, rows + (k - begin) * m.b_depth, k, depth);
    k += depth;
  }
}

/// Panel of columns [n, n + kPanel), rows [k, k + depth) of a transposed B → [depth, kPanel], zero past the last column.
void pack_panel(const MatrixArgs& m, int64_t n, int64_t k, int64_t depth, float* panel) {
  const int64_t cols = smaller(kPanel, m.cols - n);
  const float* b = m.b + k + n * m.b_col;
  const int64_t fours = cols == kPanel ? depth / 4 * 4 : 0;
  transpose<kPanel, kPanel>(b, m.b_col, fours, panel);
  for (int64_t d = fours; d < depth; ++d) {
    float* row = panel + d * kPanel;
    for (int64_t c = 0; c < cols; ++c) row[c] = b[d + c * m.b_col];
    for (int64_t c = cols; c < kPanel; ++c) row[c] = 0;
  }
}

int64_t matrix_packed(const MatrixArgs& m) { return round_up(m.cols, kPanel) * m.depth; }

constexpr int64_t kRowsAtOnce = 32;  // of B; divides kMatrixDepth

int64_t matrix_pack_units(const MatrixArgs& m) {
  return m.b_col == 1 ? (m.depth + kRowsAtOnce - 1) / kRowsAtOnce : (m.cols + kPanel - 1) / kPanel;
}

void matrix_pack(const MatrixArgs& m, int64_t begin, int64_t end) {
  const int64_t width = round_up(m.cols, kPanel);
  for (int64_t u = begin; u < end; ++u) {
    if (m.b_col == 1) {
      const int64_t k = u * kRowsAtOnce;
      pack_rows(m, m.b + k * m.b_depth, k, smaller(kRowsAtOnce, m.depth - k));
      continue;
    }
    for (int64_t k = 0; k < m.depth; k += kMatrixDepth) {
      const int64_t depth = smaller(kMatrixDepth, m.depth - k);
      pack_panel(m, u * kPanel, k, depth, m.packed + k * width + u * kPanel * depth);
    }
  }
}

/// Rows [r, r + kTileRows) of A, depth [k, k + depth) → [depth, kTileRows], zero past the last row.
void pack_tile(const MatrixArgs& m, int64_t r, int64_t k, int64_t depth, float* tile) {
  const int64_t rows = smaller(kTileRows, m.rows - r);
  const float* a = m.a + r * m.a_row + k * m.a_depth;
  if (rows == kTileRows && m.a_row == 1) {
    for (int64_t d = 0; d < depth; ++d)
      __builtin_memcpy(tile + d * kTileRows, a + d * m.a_depth, kTileRows * sizeof(float));
    return;
  }
  for (int64_t d = 0; d < depth; ++d) {
    for (int64_t i = 0; i < rows; ++i) tile[d * kTileRows + i] = a[i * m.a_row + d * m.a_depth];
    for (int64_t i = rows; i < kTileRows; ++i) tile[d * kTileRows + i] = 0;
  }
}

/// Where the tiles of A begin and how to walk them: in A itself, or copied.
struct Tiles {
  const float* first;
  int64_t step, row, depth;
};

Tiles tiles_of(const MatrixArgs& m, int64_t begin, int64_t end, int64_t k, int64_t depth,
               float* scratch) {
  const bool whole = end * kTileRows <= m.rows;
  // Steps of 2 KB and more, multiples of it, would all fall into the same few places of the caches.
  if (whole && (m.a_depth == 1 || m.a_depth % 512 != 0))
    return {m.a + begin * kTileRows * m.a_row + k * m.a_depth, kTileRows * m.a_row, m.a_row,
            m.a_depth};
  for (int64_t t = begin; t < end; ++t)
    pack_tile(m, t * kTileRows, k, depth, scratch + (t - begin) * kTileRows * depth);
  return {scratch, kTileRows * depth, 1, kTileRows};
}

/// A tile that reaches past the edge of C: made aside, then its valid part copied or added.
void edge_tile(Product p, const float* a, const float* b, float* c, int64_t rows, int64_t cols) {
  float aside[kTileRows * kPanel];
  const int64_t c_row = p.c_row;
  const bool add = p.add;
  p.c_row = kPanel;
  p.add = false;
  tile<2>(p, a, b, aside);
  for (int64_t r = 0; r < rows; ++r) {
    const float* from = aside + r * kPanel;
    float* to = c + r * c_row;
    if (add) {
#pragma omp simd
      for (int64_t n = 0; n < cols; ++n) to[n] += from[n];
    } else {
#pragma omp simd
      for (int64_t n = 0; n < cols; ++n) to[n] = from[n];
    }
  }
}

/// Tiles [begin, end) of rows, of one block of depth.
void block_rows(const MatrixArgs& m, int64_t begin, int64_t end, int64_t k, float* scratch) {
  const int64_t depth = smaller(kMatrixDepth, m.depth - k);
  const Tiles tiles = tiles_of(m, begin, end, k, depth, scratch);
  const float* panel = m.packed + k * round_up(m.cols, kPanel);
  Product p{};
  p.a_row = tiles.row;
  p.a_depth = tiles.depth;
  p.b_depth = kPanel;
  p.c_row = m.c_row;
  p.depth = depth;
  p.add = m.add || k > 0;
  for (int64_t n = 0; n < m.cols; n += kPanel, panel += kPanel * depth) {
    const int64_t cols = smaller(kPanel, m.cols - n);
    for (int64_t t = begin; t < end; ++t) {
      const float* a = tiles.first + (t - begin) * tiles.step;
      const int64_t rows = smaller(kTileRows, m.rows - t * kTileRows);
      float* c = m.c + t * kTileRows * m.c_row + n;
      if (rows < kTileRows || (cols != kPanel && cols != kLanes))
        edge_tile(p, a, panel, c, rows, cols);
      else
        cols == kPanel ? tile<2>(p, a, panel, c) : tile<1>(p, a, panel, c);
    }
  }
}

void matrix_rows(const MatrixArgs& m, int64_t begin, int64_t end, float* scratch) {
  const int64_t whole = smaller(end, m.rows / kTileRows);
  for (int64_t k = 0; k < m.depth; k += kMatrixDepth) {
    for (int64_t t = begin; t < whole; t += kTilesAtOnce)
      block_rows(m, t, smaller(whole, t + kTilesAtOnce), k, scratch);
    if (whole < end) block_rows(m, whole, end, k, scratch);
  }
}

}  // namespace

void fill_matrix(Loops& loops) {
  if (kLanes == 4) return;  // LibTorch's products use what the machine has, and are faster
  loops.matrix_tile = kTileRows;
  loops.matrix_packed = matrix_packed;
  loops.matrix_pack_units = matrix_pack_units;
  loops.matrix_pack = matrix_pack;
  loops.matrix_pack_rows = matrix_pack_rows;
  loops.matrix_rows = matrix_rows;
}

}  // namespace veomni::kernels::VEOMNI_ISA
