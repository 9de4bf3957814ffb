// Not a test: times the layers that ranks share, for scripts/bench layers. Sizes as in scripts/bench_peers/parallel_layers.py.
#include <ATen/ATen.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <functional>

#include "kernels/moe.h"
#include "parallel/comm/mpi.h"
#include "parallel/expert/expert_parallel.h"
#include "parallel/sequence/ulysses.h"
#include "test/mpi/world.h"

using namespace veomni;

namespace {

void report(const char* name, const std::function<at::Tensor()>& forward) {
  Communicator& world = test::mpi_session().world();
  const at::Tensor gradient = at::randn_like(forward());
  std::vector<double> times;
  for (int i = 0; i < 60; ++i) {
    world.barrier();
    const auto start = std::chrono::steady_clock::now();
    forward().backward(gradient);
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
            .count());
  }
  std::sort(times.begin() + 3, times.end());
  if (world.rank() == 0) std::printf("{\"%s\": %.3f}\n", name, times[3 + (times.size() - 3) / 2]);
  std::fflush(stdout);
}

}  // namespace

TEST_CASE("bench: a MoE layer whose experts two ranks share", "[.layers]") {
  Communicator& world = test::mpi_session().world();
  constexpr int64_t kTokens = 1024, kDim = 256, kWidth = 256, kExperts = 8, kChoices = 2;
  const auto up = (at::randn({kExperts / 2, 2 * kWidth, kDim}) * 0.02).requires_grad_(),
             down = (at::randn({kExperts / 2, kDim, kWidth}) * 0.02).requires_grad_(),
             x = at::randn({kTokens, kDim}).requires_grad_(),
             gates = at::rand({kTokens, kChoices}).requires_grad_();
  const auto chosen =
      at::rand({kTokens, kExperts}).argsort(int64_t{1}, false).narrow(1, 0, kChoices).contiguous();
  for (const bool overlap : {false, true})
    report(overlap ? "moe_overlap" : "moe", [&] {
      return expert_parallel(
          {x, gates, chosen}, kExperts, {&world, overlap ? 2 : 1},
          [&](const at::Tensor& rows, const at::Tensor& ones, const at::Tensor& which) {
            return kernels::moe_experts(rows, ones, which, up, down);
          });
    });
}

TEST_CASE("bench: Ulysses attention of two ranks", "[.layers]") {
  Communicator& world = test::mpi_session().world();
  constexpr int64_t kTokens = 2048, kHeads = 8, kHeadDim = 32, kSample = 512;
  const kernels::AttentionShape shape{
      .query_heads = kHeads, .key_value_heads = kHeads, .head_dim = kHeadDim};
  const auto bounds = at::arange(0, kTokens + 1, kSample, at::kInt);
  for (const bool overlap : {false, true}) {
    std::vector<at::Tensor> projections;
    report(overlap ? "ulysses_overlap" : "ulysses", [&] {
      const TokenShare share{world, {kTokens / 2, kTokens / 2}, overlap};
      HeadExchange exchange(share, shape);
      const int64_t width = kHeads * kHeadDim / exchange.groups();
      while (static_cast<int64_t>(projections.size()) < 3 * exchange.groups())
        projections.push_back(at::randn({kTokens / 2, width}).requires_grad_());
      for (const auto& projection : projections) exchange.send(projection);
      for (int64_t group = 0; group < exchange.groups(); ++group)
        exchange.send_back(kernels::packed_attention(exchange.receive(), {}, {}, {}, bounds,
                                                     exchange.local_shape()));
      return exchange.finish();
    });
  }
}
