#include "kernels/cpu/matrix.h"

#include <ATen/Parallel.h>

#include <catch2/catch.hpp>
#include <limits>

#include "kernels/cpu/packed_matrix.h"
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

TEST_CASE(
    "matrix: every instruction set is as exact as LibTorch's f32 products, of numbers of all sizes",
    "[kernels][matrix]") {
  at::manual_seed(11);
  for (const int64_t depth : {96, 384, 2048}) {
    const at::Tensor a = at::randn({160, depth}) * at::exp2(at::randint(-20, 20, {160, 1})),
                     b = at::randn({depth, 96}) * at::exp2(at::randint(-20, 20, {1, 96}));
    const at::Tensor exact = at::mm(a.to(at::kDouble), b.to(at::kDouble));
    const at::Tensor size = at::mm(a.to(at::kDouble).abs(), b.to(at::kDouble).abs());
    const auto error = [&](const at::Tensor& got) {
      return ((got.to(at::kDouble) - exact) / size).square().mean().sqrt().item<double>();
    };
    const double allowed = 1.5 * error(at::mm(a, b));
    on_every_isa([&](const std::string& isa) {
      INFO(isa << ", depth " << depth);
      CHECK(error(kernels::cpu::matrix_product(a, b)) < allowed);
    });
  }
}

TEST_CASE("matrix: a number that is not finite leaves its row or column not finite, and no other",
          "[kernels][matrix]") {
  for (const float bad :
       {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN(), std::nanf("0x3fffff")})
    on_every_isa([&](const std::string& isa) {
      INFO(isa << ", " << bad);
      const at::Tensor a = values({40, 70}, 1), b = values({70, 50}, 2);
      a[37][69] = bad;
      b[3][33] = bad;
      at::Tensor finite = kernels::cpu::matrix_product(a, b).isfinite();
      CHECK_FALSE(finite[37].any().item<bool>());
      CHECK_FALSE(finite.select(1, 33).any().item<bool>());
      finite[37].fill_(true);
      finite.select(1, 33).fill_(true);
      CHECK(finite.all().item<bool>());
    });
}

TEST_CASE("matrix: packed in pieces of rows as packed at once, in any order", "[kernels][matrix]") {
  for (const int64_t depth : {1, 31, 32, 77, 385, 500})
    for (const int64_t cols : {7, 33, 64})
      on_every_isa([&](const std::string& isa) {
        INFO(isa << ", " << depth << " x " << cols);
        if (kernels::loops().matrix_rows == nullptr) return;
        const at::Tensor a = values({45, depth}, 1), b = values({depth, cols}, 2);
        const at::Tensor scratch = at::empty({kernels::kMatrixScratch}, at::kFloat);
        const auto multiply = [&](const kernels::cpu::PackedMatrix& packed) {
          const at::Tensor c = at::empty({45, cols}, at::kFloat);
          packed.multiply(a.const_data_ptr<float>(), depth, 1, 45, c.mutable_data_ptr<float>(),
                          false, scratch.mutable_data_ptr<float>());
          return c;
        };
        const kernels::cpu::PackedMatrix at_once(b);
        for (int64_t u = 0; u < at_once.units(); ++u) at_once.pack(u);
        const kernels::cpu::PackedMatrix in_pieces(depth, cols);
        constexpr int64_t kPiece = 15;  // odd: pieces begin within pairs of rows
        for (int64_t begin = (depth - 1) / kPiece * kPiece; begin >= 0; begin -= kPiece)
          in_pieces.pack_rows(b.const_data_ptr<float>() + begin * cols, begin,
                              std::min(kPiece, depth - begin));
        CHECK(at::equal(multiply(at_once), multiply(in_pieces)));
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
