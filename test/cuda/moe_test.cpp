// T tokens, D model, E experts, k experts a token
#include "test/cuda/support.h"

namespace veomni::test {
namespace {

std::vector<int64_t> choose(size_t count, int64_t experts) {
  std::mt19937 engine(7);
  std::vector<int64_t> chosen(count);
  for (int64_t& expert : chosen)
    expert = static_cast<int64_t>(engine() % static_cast<unsigned>(experts));
  return chosen;
}

struct Sorted {
  Device<int32_t> offsets, order, inverse;
  Sorted(const std::vector<int64_t>& chosen, int64_t experts)
      : offsets(static_cast<size_t>(experts) + 1), order(chosen.size()), inverse(chosen.size()) {
    const Device<int64_t> chosen_d(chosen);
    const int64_t count = static_cast<int64_t>(chosen.size());
    const Device<int32_t> partial(static_cast<size_t>(veomni_moe_blocks(count) * experts));
    const VeomniMoeSort args{chosen_d.get(), offsets.get(), order.get(), inverse.get(),
                             partial.get(),  count,         experts};
    check_call(table().moe_sort(&args, nullptr));
    check_call(cudaDeviceSynchronize());
  }
};

}  // namespace

TEST_CASE("cuda moe: the sort by expert is the stable one", "[cuda][gpu]") {
  const auto [count, experts] =
      GENERATE(std::pair<size_t, int64_t>{0, 3}, std::pair<size_t, int64_t>{1, 1},
               std::pair<size_t, int64_t>{33, 4}, std::pair<size_t, int64_t>{5000, 100},
               std::pair<size_t, int64_t>{2048, 1500});
  const std::vector<int64_t> chosen = choose(count, experts);
  const Sorted sorted(chosen, experts);
  std::vector<int32_t> order(count), inverse(count), offsets(static_cast<size_t>(experts) + 1);
  for (size_t i = 0; i < count; ++i) order[i] = static_cast<int32_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return chosen[static_cast<size_t>(a)] < chosen[static_cast<size_t>(b)];
  });
  for (size_t i = 0; i < count; ++i)
    inverse[static_cast<size_t>(order[i])] = static_cast<int32_t>(i);
  for (const int64_t expert : chosen) {
    for (size_t e = static_cast<size_t>(expert) + 1; e < offsets.size(); ++e) ++offsets[e];
  }
  CHECK(sorted.order.host() == order);
  CHECK(sorted.inverse.host() == inverse);
  CHECK(sorted.offsets.host() == offsets);
}

TEST_CASE("cuda moe: an expert that does not exist shows in the last offset", "[cuda][gpu]") {
  const Sorted sorted({0, 1, 2, -1, 1}, 2);
  CHECK(sorted.offsets.host() == std::vector<int32_t>{0, 1, 3});
  CHECK(sorted.inverse.host() == std::vector<int32_t>{0, 1, -1, -1, 2});
}

TEST_CASE("cuda moe: gather, combine and their gradients match double loops", "[cuda][gpu]") {
  const auto p = GENERATE(VEOMNI_PRECISIONS);
  const size_t tokens = GENERATE(0u, 1u, 33u), dim = GENERATE(1u, 130u), per_token = 2,
               rows = tokens * per_token;
  const Sorted sorted(choose(rows, 5), 5);
  const std::vector<int32_t> order = sorted.order.host();
  const Doubles x = draw(p.scalar, tokens * dim, 1), expert_out = draw(p.scalar, rows * dim, 2);
  const Doubles gates = draw(p.scalar, rows, 3), grad_out = draw(p.scalar, tokens * dim, 4);
  Doubles gathered(rows * dim), summed(tokens * dim), combined(tokens * dim), grad_rows(rows * dim),
      grad_gates(rows);
  for (size_t r = 0; r < rows; ++r) {
    const size_t entry = static_cast<size_t>(order[r]), token = entry / per_token;
    for (size_t d = 0; d < dim; ++d) {
      gathered[r * dim + d] = x[token * dim + d];
      summed[token * dim + d] += expert_out[r * dim + d];
      combined[token * dim + d] += gates[entry] * expert_out[r * dim + d];
      grad_rows[r * dim + d] = gates[entry] * grad_out[token * dim + d];
      grad_gates[entry] += expert_out[r * dim + d] * grad_out[token * dim + d];
    }
  }
  const Scalars x_d(p.scalar, x), rows_d(p.scalar, expert_out), gates_d(p.scalar, gates),
      grad_d(p.scalar, grad_out);
  const Scalars gathered_d(p.scalar, rows * dim), out(p.scalar, tokens * dim);
  const Scalars grad_rows_d(p.scalar, rows * dim), grad_gates_d(p.scalar, rows);
  VeomniMoe a{};
  a.order = sorted.order.get(), a.inverse = sorted.inverse.get(), a.scalar = p.scalar;
  a.tokens = static_cast<int64_t>(tokens), a.dim = static_cast<int64_t>(dim),
  a.per_token = per_token;
  a.x = x_d.get(), a.out = gathered_d.get();
  check_call(table().moe_gather(&a, nullptr));
  CHECK(gathered_d.host() == gathered);
  a.x = rows_d.get(), a.out = out.get();
  check_call(table().moe_combine(&a, nullptr));
  check_close(out.host(), summed, p.tolerance);
  a.gates = gates_d.get(), a.grad_out = grad_d.get();
  a.grad_rows = grad_rows_d.get(), a.grad_gates = grad_gates_d.get();
  check_call(table().moe_combine(&a, nullptr));
  check_call(table().moe_combine_backward(&a, nullptr));
  check_close(out.host(), combined, p.tolerance);
  check_close(grad_rows_d.host(), grad_rows, p.tolerance);
  check_close(grad_gates_d.host(), grad_gates, p.tolerance);
}

}  // namespace veomni::test
