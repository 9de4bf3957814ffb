// Norms, SwiGLU, linear and embedding: rows in, rows out.
#include <ATen/Parallel.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "kernels/activation.h"
#include "kernels/embedding.h"
#include "kernels/linear.h"
#include "kernels/norm.h"
#include "kernels/reference.h"
#include "test/kernels/compare.h"

using namespace veomni;
using namespace veomni::test;

namespace {

void compare(const char* name, const Op& ours, const Op& exact, const Tensors& inputs) {
  on_every_isa([&](const std::string& isa) {
    for (const auto& [type, tolerance] : kTypes) {
      INFO(name << ", " << inputs[0].sizes() << ", " << isa << ", " << type);
      CHECK(worst_difference(ours, exact, inputs, type) < tolerance);
    }
  });
}

at::Tensor joined(const std::pair<at::Tensor, at::Tensor>& both) {
  return at::cat({both.first, both.second}, 1);
}

}  // namespace

TEST_CASE("norm: rms_norm equals the composed reference", "[kernels][norm]") {
  for (const int64_t tokens : {0, 1, 31, 33, 200})
    for (const int64_t dim : {2, 31, 33, 128})  // of one column the gradient is rounding alone
      compare(
          "rms_norm", [](const Tensors& x) { return kernels::rms_norm(x[0], x[1], 1e-6); },
          [](const Tensors& x) { return kernels::reference::rms_norm(x[0], x[1], 1e-6); },
          {values({tokens, dim}), values({dim}, 1) + 1});
}

TEST_CASE("norm: add_rms_norm gives the sum and its norm, with both gradients", "[kernels][norm]") {
  const Op exact = [](const Tensors& x) {
    const at::Tensor sum = x[0] + x[1];
    return at::cat({sum, kernels::reference::rms_norm(sum, x[2], 1e-5)}, 1);
  };
  for (const int64_t tokens : {0, 1, 33})
    compare("add_rms_norm",
            [](const Tensors& x) { return joined(kernels::add_rms_norm(x[0], x[1], x[2], 1e-5)); },
            exact, {values({tokens, 33}), values({tokens, 33}, 5), values({33}, 1) + 1});
}

TEST_CASE("norm: add_rms_norm works when only one of its results is used", "[kernels][norm]") {
  const Tensors inputs{values({5, 8}), values({5, 8}, 5), values({8}, 1) + 1};
  for (const bool first : {true, false}) {
    const Op ours = [=](const Tensors& x) {
      const auto both = kernels::add_rms_norm(x[0], x[1], x[2], 1e-5);
      return first ? both.first : both.second;
    };
    const Op exact = [=](const Tensors& x) {
      return first ? x[0] + x[1] : kernels::reference::rms_norm(x[0] + x[1], x[2], 1e-5);
    };
    CHECK(worst_difference(ours, exact, inputs, at::kFloat) < 2e-5);
  }
}

TEST_CASE("activation: swiglu equals the composed reference, also far out",
          "[kernels][activation]") {
  for (const int64_t tokens : {0, 1, 31, 33})
    for (const int64_t width : {1, 31, 33, 96})
      compare(
          "swiglu", [](const Tensors& x) { return kernels::swiglu(x[0]); },
          [](const Tensors& x) { return kernels::reference::swiglu(x[0]); },
          {values({tokens, 2 * width}) * 8});
  const at::Tensor far =
      at::tensor({-200.f, -95.f, -30.f, 30.f, 95.f, 200.f}).repeat({2}).view({1, 12});
  CHECK(kernels::swiglu(far).allclose(kernels::reference::swiglu(far), 1e-5, 1e-9));
}

namespace {

/// The formula of kernels/norm.h, word for word.
at::Tensor exact_layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor centred = x - x.mean(1, true);
  return centred / (centred.square().mean(1, true) + 1e-5).sqrt() * weight + bias;
}

using kernels::Activation;

at::Tensor exact_activation(const at::Tensor& x, Activation function) {
  switch (function) {
    case Activation::silu:
      return x / (1 + (-x).exp());
    case Activation::gelu:
      return x * 0.5 * (1 + (x / std::sqrt(2.0)).erf());
    case Activation::gelu_tanh:
      return x * 0.5 * (1 + ((x + 0.044715 * x.pow(3)) * std::sqrt(2 / M_PI)).tanh());
    case Activation::quick_gelu:
      return x / (1 + (-1.702 * x).exp());
    default:
      return at::where(x > 0, x, at::zeros_like(x));
  }
}

const Activation kActivations[] = {Activation::silu, Activation::gelu, Activation::gelu_tanh,
                                   Activation::quick_gelu, Activation::relu};

}  // namespace

TEST_CASE("norm: layer_norm, alone and after the residual, equals its formula", "[kernels][norm]") {
  for (const int64_t tokens : {0, 1, 31, 200})
    for (const int64_t dim : {3, 33, 128}) {
      const Tensors inputs{values({tokens, dim}) + 0.5, values({dim}, 1) + 1, values({dim}, 2)};
      compare(
          "layer_norm",
          [](const Tensors& x) { return kernels::layer_norm(x[0], x[1], x[2], 1e-5); },
          [](const Tensors& x) { return exact_layer_norm(x[0], x[1], x[2]); }, inputs);
      compare(
          "add_layer_norm",
          [](const Tensors& x) {
            return joined(kernels::add_layer_norm(x[0], x[3], x[1], x[2], 1e-5));
          },
          [](const Tensors& x) {
            const at::Tensor sum = x[0] + x[3];
            return at::cat({sum, exact_layer_norm(sum, x[1], x[2])}, 1);
          },
          {inputs[0], inputs[1], inputs[2], values({tokens, dim}, 5)});
    }
}

TEST_CASE("activation: every function, plain and gated, equals its formula",
          "[kernels][activation]") {
  for (const auto function : kActivations)
    for (const int64_t tokens : {0, 1, 31}) {
      INFO("function " << static_cast<int>(function));
      compare(
          "activate", [=](const Tensors& x) { return kernels::activate(x[0], function); },
          [=](const Tensors& x) { return exact_activation(x[0], function); },
          {values({tokens, 33}) * 6});
      compare(
          "gated", [=](const Tensors& x) { return kernels::gated(x[0], function); },
          [=](const Tensors& x) {
            return exact_activation(x[0].narrow(1, 0, 33), function) * x[0].narrow(1, 33, 33);
          },
          {values({tokens, 66}) * 6});
    }
}

TEST_CASE("embedding: rows by id, gradient summed over repeated ids", "[kernels][embedding]") {
  for (const int64_t tokens : {0, 1, 31, 500}) {
    const at::Tensor ids = at::arange(tokens, at::kLong) * at::arange(tokens, at::kLong) % 7;
    compare(
        "embedding", [=](const Tensors& x) { return kernels::embedding(x[0], ids); },
        [=](const Tensors& x) { return kernels::reference::embedding(x[0], ids); },
        {values({9, 33})});
  }
}

TEST_CASE("linear: with and without bias or residual it equals at::linear", "[kernels][linear]") {
  const at::Tensor w = values({7, 5}, 1), b = values({7}, 2);
  for (const int64_t tokens : {0, 1, 33}) {
    const at::Tensor x = values({tokens, 5}), r = values({tokens, 7}, 3);
    compare(
        "linear", [](const Tensors& t) { return kernels::linear(t[0], t[1], {}); },
        [](const Tensors& t) { return at::linear(t[0], t[1]); }, {x, w});
    compare(
        "linear, bias", [](const Tensors& t) { return kernels::linear(t[0], t[1], t[2]); },
        [](const Tensors& t) { return at::linear(t[0], t[1], t[2]); }, {x, w, b});
    compare(
        "linear_add", [](const Tensors& t) { return kernels::linear_add(t[0], t[1], t[2]); },
        [](const Tensors& t) { return at::linear(t[0], t[1]) + t[2]; }, {x, w, r});
  }
}

TEST_CASE("rows: gradients agree with finite differences in f64",
          "[kernels][norm][activation][linear]") {
  const at::Tensor x = values({3, 4}), r = values({3, 4}, 5), w = values({4}, 1) + 1,
                   m = values({2, 4}, 7);
  CHECK(finite_difference_error(
            [](const Tensors& t) { return kernels::rms_norm(t[0], t[1], 1e-6); }, {x, w}) < 1e-7);
  CHECK(finite_difference_error(
            [](const Tensors& t) { return joined(kernels::add_rms_norm(t[0], t[1], t[2], 1e-6)); },
            {x, r, w}) < 1e-7);
  CHECK(finite_difference_error([](const Tensors& t) { return kernels::swiglu(t[0]); }, {x}) <
        1e-7);
  CHECK(finite_difference_error(
            [](const Tensors& t) {
              return joined(kernels::add_layer_norm(t[0], t[1], t[2], t[3], 1e-5));
            },
            {x, r, w, values({4}, 9)}) < 1e-7);
  for (const auto function : kActivations) {
    CHECK(finite_difference_error(
              [=](const Tensors& t) { return kernels::activate(t[0], function); }, {x}) < 1e-7);
    CHECK(finite_difference_error([=](const Tensors& t) { return kernels::gated(t[0], function); },
                                  {x}) < 1e-7);
  }
  CHECK(finite_difference_error(
            [](const Tensors& t) { return kernels::linear_add(t[0], t[1], t[2]); },
            {x, m, values({3, 2}, 8)}) < 1e-7);
}

TEST_CASE("rows: the number of threads does not change a bit", "[kernels][norm][embedding]") {
  const at::Tensor ids = at::arange(4000, at::kLong) % 50;
  const Op norm = [](const Tensors& x) { return kernels::rms_norm(x[0], x[1], 1e-6); };
  const Op embed = [=](const Tensors& x) { return kernels::embedding(x[0], ids); };
  const int before = at::get_num_threads();
  std::vector<Result> results;
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    results.push_back(evaluate(norm, {values({4000, 40}), values({40}, 1)}, at::kFloat));
    results.push_back(evaluate(embed, {values({50, 40})}, at::kFloat));
  }
  at::set_num_threads(before);
  for (const size_t i : {0, 1}) {
    CHECK(results[i].out.equal(results[i + 2].out));
    for (size_t g = 0; g < results[i].gradients.size(); ++g)
      CHECK(results[i].gradients[g].equal(results[i + 2].gradients[g]));
  }
}

TEST_CASE("rows: wrong arguments are refused with a message",
          "[kernels][norm][activation][embedding][linear]") {
  const at::Tensor x = at::zeros({4, 6}), w = at::ones({6}), ids = at::zeros({3}, at::kLong);
  CHECK_THROWS_WITH(kernels::rms_norm(x.t(), at::ones({4}), 1e-6),
                    Catch::Contains("x must be contiguous"));
  CHECK_THROWS_WITH(kernels::rms_norm(x, at::ones({5}), 1e-6),
                    Catch::Contains("weight has shape [5]"));
  CHECK_THROWS_WITH(kernels::rms_norm(x, w.to(at::kBFloat16), 1e-6),
                    Catch::Contains("weight is BFloat16"));
  CHECK_THROWS_WITH(kernels::rms_norm(x.to(at::kLong), w, 1e-6),
                    Catch::Contains("must be f32, bf16 or f64"));
  CHECK_THROWS_WITH(kernels::add_rms_norm(x, at::zeros({4, 5}), w, 1e-6),
                    Catch::Contains("residual has shape"));
  CHECK_THROWS_WITH(kernels::layer_norm(x, w, at::zeros({5}), 1e-6),
                    Catch::Contains("bias has shape [5]"));
  CHECK_THROWS_WITH(kernels::activate(x.t(), Activation::gelu), Catch::Contains("contiguous"));
  CHECK_THROWS_WITH(kernels::gated(at::zeros({4, 7}), Activation::gelu),
                    Catch::Contains("2 * width"));
  CHECK_THROWS_WITH(kernels::swiglu(at::zeros({4, 7})), Catch::Contains("2 * width"));
  CHECK_THROWS_WITH(kernels::swiglu(at::zeros({4, 8}).t()), Catch::Contains("contiguous"));
  CHECK_THROWS_WITH(kernels::embedding(x, ids + 4),
                    Catch::Contains("id 4 of token 0 is outside the 4 rows"));
  CHECK_THROWS_WITH(kernels::embedding(x, ids - 1), Catch::Contains("id -1"));
  CHECK_THROWS_WITH(kernels::embedding(x, ids.to(at::kInt)), Catch::Contains("i64"));
  CHECK_THROWS_WITH(kernels::linear(x, at::zeros({3, 5}), {}),
                    Catch::Contains("linear: x has shape [4, 6]"));
  CHECK_THROWS_WITH(kernels::linear_add(x, at::zeros({3, 6}), x),
                    Catch::Contains("residual has shape"));
}
