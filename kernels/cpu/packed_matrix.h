#pragma once
// The right-hand side of a matrix product in the order the f32 loops read it, for work that is split into pieces by
// its caller. M rows, N columns, K depth

#include <ATen/core/Tensor.h>

#include "kernels/cpu/isa.h"

namespace veomni::kernels::cpu {

class PackedMatrix {
 public:
  /// b [K, N] f32, row-major or transposed. Memory only: pack() fills it.
  explicit PackedMatrix(const at::Tensor& b);
  /// Whose rows come in pieces: pack_rows() fills it.
  PackedMatrix(int64_t depth, int64_t cols);

  int64_t units() const { return loops().matrix_pack_units(args_); }
  void pack(int64_t unit) const { loops().matrix_pack(args_, unit, unit + 1); }
  /// Rows [begin, begin + count), one behind the other at `rows`.
  void pack_rows(const float* rows, int64_t begin, int64_t count) const {
    loops().matrix_pack_rows(args_, rows, begin, begin + count);
  }

  /// c [rows, N] (row-major) = or (add) += a [rows, K] · b. Steps of a as in MatrixArgs; scratch: kMatrixScratch floats.
  void multiply(const float* a, int64_t a_row, int64_t a_depth, int64_t rows, float* c, bool add,
                float* scratch) const;

 private:
  void allocate();
  at::Tensor memory_;
  MatrixArgs args_;
};

}  // namespace veomni::kernels::cpu
