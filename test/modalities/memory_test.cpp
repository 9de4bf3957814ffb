// What a rank keeps: 16 bytes a parameter over the ranks that share a copy; activations over the ranks that share tokens.
#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <mutex>

#include "cmd/engine/flat_math.h"
#include "core/data/sample.h"
#include "core/train/optimizer.h"
#include "modalities/model.h"
#include "parallel/comm/thread.h"
#include "parallel/mesh.h"
#include "support/memory_meter.h"
#include "support/tiny_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

Recipe wide_recipe(const TempDir& folder, int64_t experts) {
  std::ifstream file(write_moe_recipe(folder.path()));
  Json recipe = Json::parse(file);
  Json& base = recipe["model"]["base"];
  base.merge_patch({{"hidden_size", 128},
                    {"num_attention_heads", 8},
                    {"num_key_value_heads", 4},
                    {"head_dim", 16},
                    {"moe_intermediate_size", 96}});
  if (experts == 0) {
    base = Json::parse(R"({"family": "qwen3", "hidden_size": 128, "intermediate_size": 256,
      "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 8, "head_dim": 16})");
  }
  const auto path = folder / "wide.json";
  std::ofstream(path) << recipe.dump(1);
  register_all_parts();
  return read_recipe(path.string(), {});
}

/// One row of `tokens`, in samples of `sample`.
Batch row_of(int64_t tokens, int64_t sample, SequencePlace place) {
  Batch row;
  row.place = place;
  const int64_t begin = place.begin(tokens), end = place.end(tokens);
  row.positions = at::arange(tokens).remainder(sample);
  row.ids = at::arange(tokens).mul(7).remainder(60).slice(0, begin, end).contiguous();
  row.labels = row.ids.add(1).contiguous();
  row.label_weights = at::ones({end - begin});
  row.noise_keys = at::zeros({end - begin}, at::kLong);
  row.cu_seqlens = at::arange(0, tokens + 1, sample, at::kInt);
  row.text_labels = end - begin;
  return row;
}

struct LongRow {
  double bytes =
      0;  ///< a rank that live between its forward and its backward, beyond those before it
  double loss = 0;
};
LongRow run_row(const Recipe& recipe, int sequence, int64_t tokens, int64_t sample) {
  const auto counts = std::make_shared<MemoryCounts>();
  int64_t before = 0, held = 0;
  double loss = 0;
  run_ranks(sequence, [&](Communicator& world) {
    Mesh mesh(world, {.shard = 1, .sequence = sequence});
    ParallelContext context;
    mesh.fill(context);
    const auto model = build_model(recipe, 61, context);
    ForwardOptions options;
    options.train = true;
    options.use.text = true;
    options.counts.assign(model->losses().size(), static_cast<double>(tokens));
    options.step_tokens = static_cast<double>(tokens);
    const MemoryMeter meter(counts);
    model->begin_step(options.use);
    world.barrier();
    if (world.rank() == 0) before = counts->live;
    world.barrier();
    const auto out = model->forward(row_of(tokens, sample, {world.rank(), sequence}), options);
    world.barrier();
    if (world.rank() == 0) held = counts->live;
    world.barrier();
    out.objective.backward();
    model->reduce_gradients();
    auto sum = out.objective.detach().to(at::kDouble);
    world.all_reduce(sum);
    if (world.rank() == 0) loss = sum.item<double>();
  });
  return {static_cast<double>(held - before) / sequence, loss};
}

}  // namespace

TEST_CASE(
    "memory: parameters, gradients and moments are 16 bytes a parameter over the ranks of a copy",
    "[modalities][memory]") {
  const TempDir folder;
  for (const int64_t experts : {0, 4}) {
    const Recipe recipe = wide_recipe(folder, experts);
    for (const auto& shape :
         {MeshShape{1, 1}, MeshShape{1, 4}, MeshShape{2, 2, 2}, MeshShape{1, 4, 1, 2}}) {
      if (shape.expert > 1 && experts == 0) continue;
      INFO(experts << " experts, " << shape.text());
      std::vector<int64_t> kept(static_cast<size_t>(shape.replicate * shape.copy_size()));
      int64_t parameters = 0;
      run_ranks(static_cast<int>(kept.size()), [&](Communicator& world) {
        Mesh mesh(world, shape);
        ParallelContext context;
        mesh.fill(context);
        const auto model = build_model(recipe, 61, context);
        const auto math = flat_math();
        Optimizer optimizer(recipe.train, *model, math);
        int64_t bytes = 0;
        const auto shards = model->shards();
        for (size_t i = 0; i < shards.size(); ++i) {
          bytes += static_cast<int64_t>(shards[i]->master.nbytes() + shards[i]->gradient.nbytes());
          for (const auto& state : optimizer.states(i))
            bytes += static_cast<int64_t>(state.values.nbytes());
        }
        kept[static_cast<size_t>(world.rank())] = bytes;
        if (world.rank() == 0) parameters = model->parameter_count();
      });
      for (const int64_t bytes : kept)
        CHECK(static_cast<double>(bytes) ==
              Approx(16.0 * static_cast<double>(parameters) / shape.copy_size()).epsilon(0.01));
    }
  }
}

TEST_CASE("memory: activations fall as the ranks that share the tokens", "[modalities][memory]") {
  const TempDir folder;
  const Recipe recipe = wide_recipe(folder, 0);
  constexpr int64_t kTokens = 4096;
  // The same way of computing: with one rank a dense block is one operator that keeps less.
  const double two = run_row(recipe, 2, kTokens, 512).bytes;
  for (const int ranks : {4, 8}) {
    INFO(ranks << " ranks");
    CHECK(run_row(recipe, ranks, kTokens, 512).bytes == Approx(two * 2 / ranks).epsilon(0.05));
  }
}

TEST_CASE(
    "memory: one long sample over 8 ranks takes a sixth of one rank's activations, for the same "
    "loss",
    "[modalities][memory]") {
  const TempDir folder;
  const Recipe recipe = wide_recipe(folder, 0);
  const LongRow one = run_row(recipe, 1, 8192, 8192), eight = run_row(recipe, 8, 8192, 8192);
  CHECK(eight.bytes <= one.bytes / 6);
  CHECK(eight.loss == Approx(one.loss).epsilon(1e-5));
}

// Minutes: not among the tests that run by themselves.
TEST_CASE("memory: a sample of 131,072 tokens over 8 ranks", "[.long]") {
  const TempDir folder;
  Recipe recipe = wide_recipe(folder, 0);
  recipe.base.hidden_size = 32;
  recipe.base.intermediate_size = 64;
  recipe.base.num_hidden_layers = 1;
  recipe.base.head_dim = 4;
  const LongRow eight = run_row(recipe, 8, 131072, 131072);
  std::printf("8 ranks: %.1f MB of activations each, loss %.9g\n", eight.bytes * 1e-6, eight.loss);
  const LongRow one = run_row(recipe, 1, 131072, 131072);
  std::printf("1 rank: %.1f MB, loss %.9g\n", one.bytes * 1e-6, one.loss);
  CHECK(eight.bytes <= one.bytes / 6);
  CHECK(eight.loss == Approx(one.loss).epsilon(1e-5));
}
