#include "kernels/optimizer.h"

#include <ATen/Parallel.h>

#include <catch2/catch.hpp>

#include "core/error.h"
#include "test/kernels/compare.h"

using namespace veomni;
using namespace veomni::test;

TEST_CASE("optimizer: adamw_ follows ATen's fused AdamW over several steps",
          "[kernels][optimizer]") {
  for (const int64_t count : {0, 1, 31, 33, 40000})
    on_every_isa([&](const std::string& isa) {
      at::Tensor p = values({count}), m = at::zeros({count}), v = at::zeros({count});
      at::Tensor p2 = p.clone(), m2 = m.clone(), v2 = v.clone(), step2 = at::zeros({});
      for (int64_t step = 1; step <= 5; ++step) {
        const at::Tensor g = values({count}, 10 + step);
        kernels::adamw_(p, g, m, v, {1e-2, 0.9, 0.95, 1e-8, 0.1, step, 0.5});
        step2.add_(1);
        at::_fused_adamw_({p2}, {g * 0.5}, {m2}, {v2}, {}, {step2}, 1e-2, 0.9, 0.95, 0.1, 1e-8,
                          false, false);
      }
      INFO(count << " elements, " << isa);
      CHECK(p.allclose(p2, 1e-5, 1e-6));
      CHECK(m.allclose(m2, 1e-5, 1e-7));
      CHECK(v.allclose(v2, 1e-5, 1e-7));
    });
}

TEST_CASE("optimizer: sum_of_squares is exact and independent of threads and instruction set",
          "[kernels][optimizer]") {
  const int before = at::get_num_threads();
  for (const int64_t count : {0, 1, 31, 33, 100003}) {
    const at::Tensor x = values({count});
    const double exact = x.to(at::kDouble).square().sum().item<double>(),
                 first = kernels::sum_of_squares(x);
    CHECK(first == Approx(exact).epsilon(1e-12));
    on_every_isa([&](const std::string&) {
      for (const int threads : {1, 2}) {
        at::set_num_threads(threads);
        CHECK(kernels::sum_of_squares(x) == first);
      }
    });
  }
  at::set_num_threads(before);
}

TEST_CASE("optimizer: wrong tensors and steps are refused with a message", "[kernels][optimizer]") {
  at::Tensor p = at::zeros({4}), m = at::zeros({4}), v = at::zeros({3});
  CHECK_THROWS_WITH(kernels::adamw_(p, m, m, v, {}), Catch::Contains("has 3 elements"));
  CHECK_THROWS_WITH(kernels::adamw_(p, m, m, m, {.step = 0}), Catch::Contains("step is 0"));
  CHECK_THROWS_WITH(kernels::adamw_(p, m.to(at::kDouble), m, m, {}),
                    Catch::Contains("must be f32"));
  CHECK_THROWS_WITH(kernels::sum_of_squares(at::zeros({4, 4}).t().narrow(1, 0, 2)),
                    Catch::Contains("contiguous"));
}

TEST_CASE("isa: an unknown instruction set is refused by name", "[kernels][isa]") {
  CHECK_THROWS_AS(kernels::use_isa("neon"), DeviceError);
  CHECK_THROWS_WITH(kernels::use_isa("neon"), Catch::Contains("known: sse2, avx2, avx512, amx"));
  CHECK(kernels::available_isas().front() == "sse2");
}
