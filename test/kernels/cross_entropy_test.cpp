#include "kernels/cross_entropy.h"

#include <catch2/catch.hpp>

#include "kernels/reference.h"
#include "test/kernels/compare.h"

using namespace veomni;
using namespace veomni::test;

namespace {

at::Tensor labels(int64_t tokens, int64_t vocabulary) {
  at::Tensor ids = at::arange(tokens, at::kLong) * 7 % vocabulary;
  if (tokens > 2) ids[2].fill_(-100);
  return ids;
}

Op bind(decltype(kernels::linear_cross_entropy)& run, const at::Tensor& ids,
        const at::Tensor& weights) {
  return [&run, ids, weights](const Tensors& x) {
    const auto device = x[0].device();
    return run(x[0], x[1], ids.to(device), weights.defined() ? weights.to(device) : weights, 0.25,
               nullptr, nullptr);
  };
}

}  // namespace

TEST_CASE("cross-entropy: value and gradients equal the composed reference",
          "[kernels][cross_entropy]") {
  for (const int64_t tokens : {0, 1, 31, 33})
    for (const int64_t vocabulary : {1, 2, 31, 65, 300}) {
      const at::Tensor ids = labels(tokens, vocabulary);
      for (const at::Tensor& weights : {at::Tensor(), values({tokens}, 3) + 1})
        on_every_isa([&](const std::string& isa) {
          for (const auto& [type, tolerance] : kTypes) {
            INFO(tokens << " tokens, vocabulary " << vocabulary << ", " << isa << ", " << type);
            CHECK(worst_difference(bind(kernels::linear_cross_entropy, ids, weights),
                                   bind(kernels::reference::linear_cross_entropy, ids, weights),
                                   {values({tokens, 12}) * 3, values({vocabulary, 12}, 1)},
                                   type) < tolerance);
          }
        });
    }
}

TEST_CASE("cross-entropy: several chunks of tokens give the same as one",
          "[kernels][cross_entropy]") {
  constexpr int64_t kTokens = 150, kVocabulary = 40000;  // chunks of 64 tokens
  const at::Tensor ids = labels(kTokens, kVocabulary);
  CHECK(worst_difference(bind(kernels::linear_cross_entropy, ids, {}),
                         bind(kernels::reference::linear_cross_entropy, ids, {}),
                         {values({kTokens, 4}), values({kVocabulary, 4}, 1)}, at::kFloat) < 1e-4);
}

TEST_CASE("cross-entropy: losses and correct predictions of every token",
          "[kernels][cross_entropy]") {
  const at::Tensor hidden = at::tensor({3.f, 0.f, 0.f, 2.f, 1.f, 1.f, 0.f, 0.f}).view({4, 2}),
                   weight = at::eye(2);
  const at::Tensor ids = at::tensor({0, 0, 1, -100}, at::kLong);
  at::Tensor losses, correct;
  const at::Tensor total =
      kernels::linear_cross_entropy(hidden, weight, ids, {}, 2, &losses, &correct);
  const double expected[] = {std::log1p(std::exp(-3.0)), std::log1p(std::exp(2.0)), std::log(2.0),
                             0};
  double sum = 0;
  for (int64_t t = 0; t < 4; ++t) {
    CHECK(losses[t].item<double>() == Approx(expected[t]).epsilon(1e-5));
    sum += expected[t];
  }
  CHECK(total.item<double>() == Approx(2 * sum));
  CHECK(correct.equal(
      at::tensor({1, 0, 0, 0}, at::kByte)));  // of equal logits the first is the prediction
}

TEST_CASE("cross-entropy: backward may run twice and scales with its gradient",
          "[kernels][cross_entropy]") {
  const at::Tensor hidden = values({9, 4}).requires_grad_(),
                   weight = values({5, 4}, 1).requires_grad_();
  const at::Tensor loss =
      kernels::linear_cross_entropy(hidden, weight, labels(9, 5), {}, 1, nullptr, nullptr);
  loss.backward({}, true);
  const at::Tensor once = weight.grad().clone();
  loss.backward({}, true);
  CHECK(weight.grad().allclose(once * 2));
  weight.mutable_grad().reset();
  (loss * 3).backward();
  CHECK(weight.grad().allclose(once * 3));
}

TEST_CASE("cross-entropy: finite differences agree in f64", "[kernels][cross_entropy]") {
  CHECK(finite_difference_error(bind(kernels::linear_cross_entropy, labels(5, 3), {}),
                                {values({5, 4}), values({3, 4}, 1)}) < 1e-7);
}

TEST_CASE("cross-entropy: wrong labels and shapes are refused with a message",
          "[kernels][cross_entropy]") {
  const at::Tensor hidden = at::zeros({2, 4}), weight = at::zeros({3, 4});
  const auto call = [&](const at::Tensor& ids, const at::Tensor& weights = {}) {
    return kernels::linear_cross_entropy(hidden, weight, ids, weights, 1, nullptr, nullptr);
  };
  CHECK_THROWS_WITH(call(at::tensor({0, 3}, at::kLong)), Catch::Contains("label 3 of token 1"));
  CHECK_THROWS_WITH(call(at::tensor({-1, 0}, at::kLong)), Catch::Contains("label -1 of token 0"));
  CHECK_THROWS_WITH(call(at::tensor({0}, at::kLong)), Catch::Contains("labels has shape [1]"));
  CHECK_THROWS_WITH(call(at::tensor({0, 1}, at::kInt)), Catch::Contains("i64"));
  CHECK_THROWS_WITH(call(at::tensor({0, 1}, at::kLong), at::ones({2}, at::kDouble)),
                    Catch::Contains("label_weights must be f32"));
}

// Logits of bf16 are bf16 there, as in transformers.
TEST_CASE("cross-entropy: on a GPU, value and gradients equal the composed reference", "[.gpu]") {
  for (const int64_t vocabulary : {2, 65, 300}) {
    const at::Tensor ids = labels(33, vocabulary), weights = values({33}, 3) + 1;
    for (const auto& [type, tolerance] :
         {std::pair{at::kFloat, 2e-5}, std::pair{at::kBFloat16, 4e-2}}) {
      INFO("vocabulary " << vocabulary << ", " << type);
      CHECK(worst_difference(on_gpu(bind(kernels::linear_cross_entropy, ids, weights)),
                             bind(kernels::reference::linear_cross_entropy, ids, weights),
                             {values({33, 16}) * 3, values({vocabulary, 16}, 1)},
                             type) < tolerance);
    }
  }
}
