#include "kernels/cpu/matrix.h"

#include <ATen/Parallel.h>

#include <catch2/catch.hpp>

#include "test/kernels/compare.h"

using namespace veomni;
using namespace veomni::test;

namespace {

struct Case {
  int64_t rows, cols, depth;
};

constexpr Case kCases[] = {{0, 5, 3},       {1, 1, 1},      {15, 33, 7},   {16, 32, 4},
                           {17, 31, 5},     {64, 64, 384},  {33, 65, 385}, {200, 344, 129},
                           {130, 16, 1000}, {128, 48, 767}, {19, 1, 40},   {24, 70, 0}};

/// [rows, cols], row-major or the transpose of such a one, the first row of something larger.
at::Tensor operand(int64_t rows, int64_t cols, bool transposed, int64_t salt) {
  if (transposed) return values({cols + 1, rows}, salt).narrow(0, 0, cols).t();
  return values({rows + 1, cols}, salt).narrow(0, 0, rows);
}

double worst(const at::Tensor& got, const at::Tensor& expected) {
  if (got.numel() == 0) return 0;
  return (got.to(at::kDouble) - expected).abs().max().item<double>();
}

}  // namespace

TEST_CASE(
    "matrix: products of every shape and layout equal f64's, nothing past the edge is written",
    "[kernels][matrix]") {
  on_every_isa([&](const std::string& isa) {
    for (const Case& c : kCases)
      for (const bool a_transposed : {false, true})
        for (const bool b_transposed : {false, true})
          for (const bool add : {false, true}) {
            INFO(isa << ": " << c.rows << " x " << c.depth << " x " << c.cols << ", transposed "
                     << a_transposed << b_transposed << ", add " << add);
            const at::Tensor a = operand(c.rows, c.depth, a_transposed, 1),
                             b = operand(c.depth, c.cols, b_transposed, 2);
            const at::Tensor whole = values({c.rows + 2, c.cols + 3}, 3), before = whole.clone();
            const at::Tensor out = whole.narrow(0, 1, c.rows).narrow(1, 2, c.cols);
            at::Tensor expected = before.to(at::kDouble);
            at::Tensor part = expected.narrow(0, 1, c.rows).narrow(1, 2, c.cols);
            const at::Tensor product = at::mm(a.to(at::kDouble), b.to(at::kDouble));
            add ? part.add_(product) : part.copy_(product);
            kernels::cpu::matrix_product_into(out, a, b, add);
            CHECK(worst(whole, expected) < 6e-7 * static_cast<double>(c.depth + 1));
          }
  });
}

TEST_CASE("matrix: the same bits with one thread and with several", "[kernels][matrix]") {
  const at::Tensor a = operand(500, 700, false, 1), b = operand(700, 130, true, 2);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = kernels::cpu::matrix_product(a, b);
  at::set_num_threads(3);
  const at::Tensor several = kernels::cpu::matrix_product(a, b);
  at::set_num_threads(threads);
  CHECK(at::equal(one, several));
}
