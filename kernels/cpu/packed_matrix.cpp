#include "kernels/cpu/packed_matrix.h"

#include <torch/types.h>

namespace veomni::kernels::cpu {

PackedMatrix::PackedMatrix(const at::Tensor& b) {
  args_.b = b.const_data_ptr<float>();
  args_.b_depth = b.stride(0);
  args_.b_col = b.stride(1);
  args_.depth = b.size(0);
  args_.cols = b.size(1);
  allocate();
}

PackedMatrix::PackedMatrix(int64_t depth, int64_t cols) {
  args_.b_depth = cols;
  args_.b_col = 1;
  args_.depth = depth;
  args_.cols = cols;
  allocate();
}

void PackedMatrix::allocate() {
  args_.c_row = args_.cols;
  memory_ = at::empty({loops().matrix_packed(args_)}, at::kFloat);
  args_.packed = memory_.mutable_data_ptr<float>();
}

void PackedMatrix::multiply(const float* a, int64_t a_row, int64_t a_depth, int64_t rows, float* c,
                            bool add, float* scratch) const {
  MatrixArgs args = args_;
  args.a = a;
  args.a_row = a_row;
  args.a_depth = a_depth;
  args.rows = rows;
  args.c = c;
  args.add = add;
  const int64_t tile = loops().matrix_tile;
  loops().matrix_rows(args, 0, (rows + tile - 1) / tile, scratch);
}

}  // namespace veomni::kernels::cpu
