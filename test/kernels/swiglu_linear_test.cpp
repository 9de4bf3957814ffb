#include "kernels/swiglu_linear.h"

#include <catch2/catch.hpp>

#include "kernels/reference.h"
#include "test/kernels/compare.h"

using namespace veomni;
using namespace veomni::test;

namespace {

at::Tensor composed(const at::Tensor& gate_up, const at::Tensor& weight) {
  return at::matmul(kernels::reference::swiglu(gate_up), weight.t());
}

Op bind(decltype(kernels::swiglu_linear)& run) {
  return [&run](const Tensors& x) { return run(x[0], x[1]); };
}

Tensors inputs(int64_t tokens, int64_t width, int64_t model) {
  return {values({tokens, 2 * width}) * 3, values({model, width}, 1)};
}

}  // namespace

TEST_CASE("swiglu_linear: value and gradients equal the composed reference",
          "[kernels][activation]") {
  for (const int64_t tokens : {0, 1, 17, 200})
    for (const int64_t width : {1, 31, 96})
      on_every_isa([&](const std::string& isa) {
        for (const auto& [type, tolerance] : kTypes) {
          INFO(tokens << " tokens, width " << width << ", " << isa << ", " << type);
          CHECK(worst_difference(bind(kernels::swiglu_linear), bind(composed),
                                 inputs(tokens, width, 24), type) < tolerance);
        }
      });
  CHECK(finite_difference_error(bind(kernels::swiglu_linear), inputs(3, 4, 2)) < 1e-7);
}

TEST_CASE("swiglu_linear: wrong shapes are refused with a message", "[kernels][activation]") {
  CHECK_THROWS_WITH(kernels::swiglu_linear(at::zeros({2, 8}), at::zeros({3, 5})),
                    Catch::Contains("must have [tokens, 2 * width]"));
}

TEST_CASE("swiglu_linear: on a GPU", "[.gpu]") {
  for (const auto& [type, tolerance] : kTypes)
    CHECK(worst_difference(on_gpu(bind(kernels::swiglu_linear)), bind(composed),
                           inputs(200, 96, 24), type) < tolerance);
}
