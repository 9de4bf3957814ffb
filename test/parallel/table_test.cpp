#include "parallel/table.h"

#include <catch2/catch.hpp>

#include "parallel/comm/thread.h"

using namespace veomni;

namespace {

constexpr int64_t kRows = 50, kDim = 6;

at::Tensor ids_of(int lane) {
  auto generator = at::detail::createCPUGenerator(static_cast<uint64_t>(lane) + 1);
  return at::randint(0, kRows / 2, {20}, generator, at::kLong);
}

at::Tensor target_of(int lane) {
  auto generator = at::detail::createCPUGenerator(static_cast<uint64_t>(lane) + 100);
  return at::randn({20, kDim}, generator, at::kFloat);
}

struct Trained {
  at::Tensor weight, ids, gradients;
  double squares = 0;
};

/// Two steps over four lanes.
Trained train(Communicator& data, bool adam) {
  ParallelContext context{.world = &data, .seed = 3};
  Table table("zip", kRows, kDim, 0.5, context);
  Trained result;
  for (int step = 1; step <= 2; ++step) {
    for (int lane = data.rank(); lane < 4; lane += data.size()) {
      (table.lookup(ids_of(lane)) - target_of(lane)).square().sum().backward();
    }
    table.reduce_gradients();
    if (step == 1) std::tie(result.ids, result.gradients) = table.touched();
    if (step == 1) result.squares = table.gradient_sum_of_squares();
    if (adam) {
      table.adamw({.lr = 0.01,
                   .beta1 = 0.9,
                   .beta2 = 0.95,
                   .eps = 1e-8,
                   .weight_decay = 0.1,
                   .step = step});
    } else {
      table.sgd(0.01, 1);
    }
  }
  result.weight = table.weight().clone();
  return result;
}

std::vector<Trained> train_all(int size, bool adam) {
  std::vector<Trained> results(static_cast<size_t>(size));
  run_ranks(size, [&](Communicator& data) {
    results[static_cast<size_t>(data.rank())] = train(data, adam);
  });
  return results;
}

at::Tensor initial_weight() {
  ParallelContext context{.seed = 3};
  return Table("zip", kRows, kDim, 0.5, context).weight();
}

}  // namespace

TEST_CASE("table: N ranks equal one rank and a dense embedding", "[parallel][table][ranks]") {
  const Trained one = train_all(1, false)[0];
  const at::Tensor dense = initial_weight().clone().requires_grad_();
  for (int lane = 0; lane < 4; ++lane) {
    (at::embedding(dense, ids_of(lane)) - target_of(lane)).square().sum().backward();
  }
  CHECK(at::allclose(one.gradients, dense.grad().index_select(0, one.ids), 1e-5, 1e-6));
  CHECK(one.squares == Approx(dense.grad().square().sum().item<double>()).epsilon(1e-6));
  const int size = GENERATE(2, 3, 4, 6);
  const auto all = train_all(size, false);
  for (const Trained& trained : all) {
    CHECK(trained.ids.equal(one.ids));
    CHECK(at::allclose(trained.gradients, one.gradients, 1e-6, 1e-6));
    CHECK(at::allclose(trained.weight, one.weight, 1e-6, 1e-6));
    CHECK(trained.weight.equal(all[0].weight));
  }
}

TEST_CASE("table: rows that were not touched keep their bits", "[parallel][table]") {
  const bool adam = GENERATE(true, false);
  const Trained one = train_all(1, adam)[0];
  const at::Tensor before = initial_weight();
  std::vector<bool> touched(kRows, false);
  for (int64_t i = 0; i < one.ids.numel(); ++i)
    touched[static_cast<size_t>(one.ids[i].item<int64_t>())] = true;
  for (int64_t row = 0; row < kRows; ++row) {
    CHECK(one.weight[row].equal(before[row]) != touched[static_cast<size_t>(row)]);
  }
}

TEST_CASE("table: AdamW equals the dense optimizer when every row is touched",
          "[parallel][table]") {
  ParallelContext context{.seed = 9};
  Table table("t", 7, 5, 1, context);
  at::Tensor p = table.weight().to(at::kDouble), m = at::zeros_like(p), v = at::zeros_like(p);
  const double lr = 0.02, beta1 = 0.9, beta2 = 0.99, eps = 1e-8, decay = 0.1, scale = 0.5;
  for (int step = 1; step <= 5; ++step) {
    const at::Tensor target = at::full({7, 5}, step, at::kFloat);
    const at::Tensor g = 2 * (table.weight() - target).to(at::kDouble) * scale;
    (table.lookup(at::arange(7)) - target).square().sum().backward();
    table.reduce_gradients();
    table.adamw({lr, beta1, beta2, eps, decay, step, scale});
    p = p * (1 - lr * decay);
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    p = p - lr / (1 - std::pow(beta1, step)) * m / ((v / (1 - std::pow(beta2, step))).sqrt() + eps);
    CHECK(at::allclose(table.weight().to(at::kDouble), p, 1e-5, 1e-6));
  }
}

TEST_CASE("table: lookups without gradient, without ids, and out of range", "[parallel][table]") {
  ParallelContext context{.seed = 3};
  Table table("zip", kRows, kDim, 0.5, context);
  CHECK(table.lookup(at::empty({0}, at::kLong)).sizes() == at::IntArrayRef{0, kDim});
  {
    const at::NoGradGuard no_grad;
    const at::Tensor ids = at::tensor({3, 1, 3}, at::kLong);
    CHECK(table.lookup(ids).equal(table.weight().index_select(0, ids)));
  }
  table.reduce_gradients();
  CHECK(table.touched().first.numel() == 0);
  CHECK(table.gradient_sum_of_squares() == 0);
  CHECK_THROWS_AS(table.lookup(at::full({1}, kRows, at::kLong)), c10::Error);
  CHECK_THROWS_AS(table.lookup(at::full({1}, -1, at::kLong)), c10::Error);
  CHECK_THROWS_AS(table.lookup(at::zeros({2}, at::kFloat)), c10::Error);
}
