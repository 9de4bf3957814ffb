#include "kernels/cpu/matrix.h"

#include <torch/types.h>

#include "kernels/cpu/generation_loops.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"

// M rows, N columns, K depth

namespace veomni::kernels::cpu {
namespace {

constexpr int64_t kFewRows = 16;     // with fewer, copying B costs more than it saves
constexpr int64_t kDotRows = 32;     // and with so few where B is a transposed weight
constexpr int64_t kGrain = 1 << 19;  // multiply-adds that are worth a thread
constexpr int64_t kPackGrain = 1 << 14;

bool dense(const at::Tensor& x) { return x.stride(0) == 1 || x.stride(1) == 1; }

bool ours(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b) {
  return out.scalar_type() == at::kFloat && out.is_cpu() && a.size(0) >= kFewRows &&
         a.size(1) > 0 && b.size(1) > 0 && out.stride(1) == 1 && dense(a) && dense(b) &&
         loops().matrix_rows != nullptr;
}

/// x · weightᵀ of few rows, all of them contiguous: a step of text generation.
bool few_rows(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b) {
  const auto type = out.scalar_type();
  return (type == at::kFloat || type == at::kBFloat16) && out.is_cpu() && a.size(0) <= kDotRows &&
         a.numel() > 0 && b.size(1) > 0 && a.scalar_type() == type && b.scalar_type() == type &&
         out.is_contiguous() && a.is_contiguous() && b.t().is_contiguous();
}

void run_few_rows(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, bool add) {
  FewRowsArgs args;
  args.scalar = scalar_of(out);
  args.x = a.const_data_ptr();
  args.weight = b.const_data_ptr();
  args.y = out.mutable_data_ptr();
  args.rows = a.size(0);
  args.cols = b.size(1);
  args.depth = a.size(1);
  args.add = add;
  for_rows(args.cols, args.rows * args.depth,
           [&](int64_t begin, int64_t end) { generation_loops().few_rows(args, begin, end); });
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

MatrixArgs arguments(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, bool add) {
  MatrixArgs args;
  args.a = a.const_data_ptr<float>();
  args.a_row = a.stride(0);
  args.a_depth = a.stride(1);
  args.b = b.const_data_ptr<float>();
  args.b_depth = b.stride(0);
  args.b_col = b.stride(1);
  args.c = out.mutable_data_ptr<float>();
  args.c_row = out.stride(0);
  args.rows = a.size(0);
  args.cols = b.size(1);
  args.depth = a.size(1);
  args.add = add;
  return args;
}

void run(MatrixArgs args) {
  const Loops& table = loops();
  const at::Tensor packed = at::empty({table.matrix_packed(args)}, at::kFloat);
  args.packed = packed.mutable_data_ptr<float>();
  const int64_t units = table.matrix_pack_units(args);
  at::parallel_for(0, units, ceil_div(kPackGrain * units, packed.numel()),
                   [&](int64_t begin, int64_t end) { table.matrix_pack(args, begin, end); });
  const int64_t tiles = ceil_div(args.rows, table.matrix_tile);
  const int64_t tile_work = table.matrix_tile * args.cols * args.depth;
  at::parallel_for(0, tiles, ceil_div(kGrain, tile_work), [&](int64_t begin, int64_t end) {
    table.matrix_rows(args, begin, end, thread_scratch(kMatrixScratch));
  });
}

}  // namespace

void matrix_product_into(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b,
                         bool add) {
  if (few_rows(out, a, b)) return run_few_rows(out, a, b, add);
  if (ours(out, a, b)) return run(arguments(out, a, b, add));
  at::Tensor target = out;
  add ? target.addmm_(a, b) : at::mm_out(target, a, b);
}

at::Tensor matrix_product(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor out = at::empty({a.size(0), b.size(1)}, a.options());
  matrix_product_into(out, a, b);
  return out;
}

}  // namespace veomni::kernels::cpu
