// Counted bytes are the closed forms: Rajbhandari et al. 2020 (FSDP: three times the parameters a micro-batch, of which
// (n − 1)/n leave or come), HSDP's all-reduce of the shard, Ulysses (Jacobs et al. 2023), expert dispatch and combine.
#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "core/data/sample.h"
#include "modalities/base/block_spec.h"
#include "parallel/comm/counted.h"
#include "parallel/comm/thread.h"
#include "parallel/expert/expert_parallel.h"
#include "parallel/fsdp/layout.h"
#include "support/tiny_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

/// A dense text model whose packs are full: 4 packs of 64 tokens, samples of 16.
std::string dense_recipe(const TempDir& folder) {
  std::ifstream file(write_moe_recipe(folder.path()));
  Json recipe = Json::parse(file);
  recipe["model"]["base"] = Json::parse(R"({"family": "qwen3", "hidden_size": 32,
    "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 8})");
  recipe["data"]["sources"][0]["sample_tokens"] = 16;
  recipe["train"].merge_patch(
      {{"steps", 2}, {"packs", 4}, {"pack_tokens", 64}, {"schedule", {{"warmup", 1}}}});
  const auto path = folder / "dense.json";
  std::ofstream(path) << recipe.dump(1);
  return path.string();
}

/// The last step's collectives on rank 0.
Json comm_of(const std::string& recipe, RunOptions options) {
  static int runs = 0;
  options.overrides.push_back(fmt::format("output=run-{}", ++runs));
  return run_recipe(recipe, options).steps.back().at("comm");
}

int64_t bytes(const Json& comm, const char* axis, const char* call) {
  if (!comm.contains(axis) || !comm[axis].contains(call)) return 0;
  return comm[axis][call]["bytes"].get<int64_t>();
}

/// Elements of all units' flat tensors with their padding.
int64_t flat_elements(const std::string& path, int64_t vocab_size, int ranks) {
  const auto recipe = read_recipe(path, {});
  int64_t sum = 0;
  for (const auto& unit : describe_base(recipe.base, vocab_size, special_token_count(0), 0))
    sum += FlatLayout(unit.parameters, ranks).total;
  return sum;
}

}  // namespace

TEST_CASE("volume: FSDP gathers twice and scatters once, HSDP reduces the shard over replicas",
          "[parallel][volume]") {
  const TempDir folder;
  const auto recipe = dense_recipe(folder);
  const std::vector<std::string> always{R"(parallel={"reshard_after_forward": "always"})"};
  const auto one = run_recipe(recipe, {.overrides = {"output=one"}});
  const auto vocab = one.parameters.at("model.embed_tokens.weight").size(0);
  for (const int shard : {2, 4}) {
    const int64_t once = 4 * flat_elements(recipe, vocab, shard) / shard * (shard - 1);
    const auto comm = comm_of(recipe, {.shard = shard, .overrides = always});
    INFO("shard " << shard);
    CHECK(bytes(comm, "dense", "all_gather") == 2 * once);
    CHECK(bytes(comm, "dense", "reduce_scatter") == once);
    CHECK(bytes(comm, "replicate", "all_reduce") == 0);
  }
  const auto comm = comm_of(recipe, {.replicate = 2, .shard = 2, .overrides = always});
  const int64_t shard_bytes = 4 * flat_elements(recipe, vocab, 2) / 2;
  CHECK(bytes(comm, "dense", "all_gather") + bytes(comm, "dense", "reduce_scatter") ==
        3 * shard_bytes);
  CHECK(bytes(comm, "replicate", "all_reduce") == shard_bytes);  // 2 (r − 1)/r of it, r = 2
}

TEST_CASE("volume: units that are kept are gathered once; gradients that wait travel once a step",
          "[parallel][volume]") {
  const TempDir folder;
  const auto recipe = dense_recipe(folder);
  const auto one = run_recipe(recipe, {.overrides = {"output=one"}});
  const auto vocab = one.parameters.at("model.embed_tokens.weight").size(0);
  const int64_t once = 4 * flat_elements(recipe, vocab, 2) / 2;
  const auto volumes = [&](const char* settings) {
    RunOptions options{.shard = 2, .overrides = {settings}};
    options.accumulate = true;  // 4 packs: two micro-batches a rank
    const auto comm = comm_of(recipe, options);
    return std::pair(bytes(comm, "dense", "all_gather"), bytes(comm, "dense", "reduce_scatter"));
  };
  CHECK(volumes(R"(parallel={"reshard_after_forward": "always"})") ==
        std::pair(4 * once, 2 * once));
  CHECK(volumes(R"(parallel={"reshard_after_forward": "never"})") == std::pair(2 * once, 2 * once));
  CHECK(volumes(R"(parallel={"reshard_after_forward": "auto"})") == std::pair(2 * once, 2 * once));
  CHECK(
      volumes(R"(parallel={"reshard_after_forward": "always", "reduce_gradients": "each_step"})") ==
      std::pair(4 * once, once));
}

TEST_CASE("volume: Ulysses sends queries, keys, values and the result, forward and backward",
          "[parallel][volume]") {
  const TempDir folder;
  const auto recipe = dense_recipe(folder);
  for (const int u : {2, 4}) {
    const auto comm = comm_of(recipe, {.sequence = u});
    // t tokens of this rank, N heads and of K at least one a rank, 8 wide; 2 layers, there and back again.
    const int64_t t = 4 * 64 / u, N = 4, K = std::max(2, u), H = 8;
    const int64_t a_layer = t * (2 * N + 2 * K) * H * 4 / u * (u - 1);
    INFO("sequence " << u);
    CHECK(bytes(comm, "sequence", "all_to_all") == 2 * 2 * a_layer);
  }
}

TEST_CASE("volume: experts get each row once and give it back, forward and backward",
          "[parallel][volume]") {
  constexpr int64_t kTokens = 12, kDim = 16, kChoices = 2, kExperts = 4;
  for (const int ranks : {2, 4}) {
    std::vector<int64_t> counted(static_cast<size_t>(ranks)), expected(static_cast<size_t>(ranks));
    run_ranks(ranks, [&](Communicator& world) {
      CommLedger ledger;
      CountedCommunicator group(world, ledger);
      const auto chosen_by = [&](int rank) {
        return (at::arange(kTokens * kChoices) * (rank + 1))
            .remainder(kExperts)
            .view({kTokens, kChoices});
      };
      const auto home_is = [&](const at::Tensor& chosen, int rank) {
        return chosen.div(kExperts / ranks, "floor").eq(rank).sum().item<int64_t>();
      };
      const int me = world.rank();
      const auto x = at::ones({kTokens, kDim}).requires_grad_();
      const auto out = expert_parallel(
          {x, at::ones({kTokens, kChoices}), chosen_by(me)}, kExperts, {&group, 1, &ledger},
          [](const at::Tensor& rows, const at::Tensor&, const at::Tensor&) { return rows * 2; });
      out.sum().backward();
      const int64_t away = kTokens * kChoices - home_is(chosen_by(me), me);
      int64_t here = 0;
      for (int rank = 0; rank < ranks; ++rank)
        if (rank != me) here += home_is(chosen_by(rank), me);
      const int64_t counts = kExperts / ranks * (ranks - 1) * 8;
      counted[static_cast<size_t>(me)] = bytes(ledger.json(false), "world", "all_to_all");
      expected[static_cast<size_t>(me)] = 4 * std::max(away, here) * kDim * 4 + counts;
    });
    CHECK(counted == expected);
  }
}
