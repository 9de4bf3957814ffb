#include "kernels/moe.h"

#include <ATen/Parallel.h>

#include <catch2/catch.hpp>

#include "kernels/reference.h"
#include "test/kernels/compare.h"

using namespace veomni;
using namespace veomni::test;

namespace {

struct Case {
  int64_t tokens, dim, experts, choices, width, used;  // only the first `used` experts are chosen
};

at::Tensor chosen(const Case& c) {
  const at::Tensor t = at::arange(c.tokens, at::kLong).unsqueeze(1),
                   j = at::arange(c.choices, at::kLong);
  return ((t * t * 3 + t + j) % c.used).contiguous();
}

Tensors inputs(const Case& c) {
  return {values({c.tokens, c.dim}), values({c.tokens, c.choices}, 1) + 1.1,
          values({c.experts, 2 * c.width, c.dim}, 2), values({c.experts, c.dim, c.width}, 3)};
}

Op bind(decltype(kernels::moe_experts)& run, const at::Tensor& ids) {
  return
      [&run, ids](const Tensors& x) { return run(x[0], x[1], ids.to(x[0].device()), x[2], x[3]); };
}

}  // namespace

TEST_CASE("moe: values and gradients equal a loop over experts, unused experts get zeros",
          "[kernels][moe]") {
  for (const Case& c :
       {Case{0, 8, 4, 2, 6, 4}, Case{1, 8, 4, 2, 6, 4}, Case{33, 31, 3, 1, 33, 3},
        Case{31, 300, 8, 2, 16, 5}, Case{40, 8, 16, 4, 6, 16}, Case{20, 8, 1, 1, 6, 1}})
    on_every_isa([&](const std::string& isa) {
      for (const auto& [type, tolerance] :
           {std::pair{at::kFloat, 2e-5}, std::pair{at::kBFloat16, 4e-2}}) {
        INFO(c.tokens << " tokens, " << c.experts << " experts, " << isa << ", " << type);
        const at::Tensor ids = chosen(c);
        CHECK(worst_difference(bind(kernels::moe_experts, ids),
                               bind(kernels::reference::moe_experts, ids), inputs(c),
                               type) < tolerance);
      }
    });
}

TEST_CASE("moe: finite differences agree in f64", "[kernels][moe]") {
  const Case c{4, 3, 3, 2, 2, 2};
  CHECK(finite_difference_error(bind(kernels::moe_experts, chosen(c)), inputs(c)) < 1e-7);
}

TEST_CASE("moe: twice the same bits, with gradients recorded or not", "[kernels][moe]") {
  const Case c{200, 32, 8, 2, 48, 8};
  const Op op = bind(kernels::moe_experts, chosen(c));
  const Result a = evaluate(op, inputs(c), at::kFloat), b = evaluate(op, inputs(c), at::kFloat);
  CHECK(a.out.equal(b.out));
  for (size_t i = 0; i < a.gradients.size(); ++i) CHECK(a.gradients[i].equal(b.gradients[i]));
  CHECK(op(inputs(c)).to(at::kDouble).equal(a.out));
}

TEST_CASE("moe: wrong experts and shapes are refused with a message", "[kernels][moe]") {
  const Case c{4, 6, 3, 2, 5, 3};
  const Tensors x = inputs(c);
  const at::Tensor ids = chosen(c);
  CHECK_THROWS_WITH(kernels::moe_experts(x[0], x[1], ids + 3, x[2], x[3]),
                    Catch::Contains("is outside the 3 experts"));
  CHECK_THROWS_WITH(kernels::moe_experts(x[0], x[1], ids.to(at::kInt), x[2], x[3]),
                    Catch::Contains("i64"));
  CHECK_THROWS_WITH(kernels::moe_experts(x[0], x[1], ids, x[2], x[3].transpose(1, 2)),
                    Catch::Contains("contiguous"));
  CHECK_THROWS_WITH(kernels::moe_experts(x[0], x[1].narrow(0, 0, 3), ids, x[2], x[3]),
                    Catch::Contains("gates has shape"));
  CHECK_THROWS_WITH(kernels::moe_experts(x[0], x[1], ids, x[2], at::zeros({3, 6, 4})),
                    Catch::Contains("must have [3, 8, 6]"));
}

TEST_CASE("moe: on a GPU, values and gradients equal a loop over experts", "[.gpu]") {
  // Sizes that LibTorch's grouped product takes in bf16, and sizes that it does not.
  for (const Case& c :
       {Case{0, 8, 4, 2, 8, 4}, Case{33, 31, 3, 1, 33, 3}, Case{40, 64, 8, 2, 32, 5},
        Case{1, 32, 4, 2, 16, 4}, Case{700, 128, 16, 4, 64, 16}}) {
    const at::Tensor ids = chosen(c);
    const Op ours = on_gpu(bind(kernels::moe_experts, ids));
    for (const auto& [type, tolerance] :
         {std::pair{at::kFloat, 2e-5}, std::pair{at::kBFloat16, 4e-2}}) {
      INFO(c.tokens << " tokens, " << c.experts << " experts, " << type);
      CHECK(worst_difference(ours, bind(kernels::reference::moe_experts, ids), inputs(c), type) <
            tolerance);
      const Result a = evaluate(ours, inputs(c), type), b = evaluate(ours, inputs(c), type);
      CHECK(a.out.equal(b.out));
      for (size_t i = 0; i < a.gradients.size(); ++i) CHECK(a.gradients[i].equal(b.gradients[i]));
    }
  }
}
