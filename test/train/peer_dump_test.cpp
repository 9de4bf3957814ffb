// Not a test by itself: writes what scripts/bench_peers/same_loss.py replays in PyTorch. Run by
// `scripts/bench same_loss`, which names the recipe and the folder in the environment.
#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "core/checkpoint/safetensors.h"
#include "core/data/sample.h"
#include "core/recipe/recipe.h"
#include "core/train/model.h"
#include "core/train/schedule.h"
#include "core/train/step_input.h"
#include "modalities/base/hugging_face_spec.h"
#include "modalities/model.h"
#include "parallel/comm/thread.h"
#include "parallel/fsdp/unit.h"
#include "parallel/mesh.h"
#include "support/tiny_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

namespace fs = std::filesystem;
using Weights = std::map<std::string, at::Tensor>;

/// Our parameters under the names and shapes of Hugging Face's files.
Weights hugging_face_weights(const Weights& ours, const BaseConfig& base) {
  Weights out;
  for (const auto& [name, weight] : ours) {
    int64_t start = 0;
    for (const auto& piece : hugging_face_pieces(name, weight.sizes().vec(), base)) {
      out[piece.tensor] = weight.flatten().narrow(0, start, piece.count()).view(piece.shape);
      start += piece.count();
    }
  }
  return out;
}

void write_weights(const fs::path& file, const Weights& weights) {
  std::vector<at::Tensor> kept;
  std::vector<SafetensorsTensor> tensors;
  for (const auto& [name, weight] : weights) {
    kept.push_back(weight.contiguous());
    tensors.push_back({name, "F32", weight.sizes().vec(), kept.back().const_data_ptr()});
  }
  write_safetensors(file, tensors);
}

std::vector<int64_t> piece(const at::Tensor& x, int64_t begin, int64_t end) {
  const auto* data = x.const_data_ptr<int64_t>();
  return {data + begin, data + end};
}

Json step_line(const StepInput& input, double lr) {
  Json line = {{"samples", Json::array()}, {"labels", Json::array()}, {"lr", lr}};
  for (const auto& [batch, use] : input.micro_batches) {
    const auto* bounds = batch.cu_seqlens.const_data_ptr<int32_t>();
    for (int64_t s = 0; s + 1 < batch.cu_seqlens.size(0); ++s) {
      line["samples"].push_back(piece(batch.ids, bounds[s], bounds[s + 1]));
      line["labels"].push_back(piece(batch.labels, bounds[s], bounds[s + 1]));
    }
  }
  return line;
}

/// The first weights and the batches of every step, from a model and a dataset of their own.
void dump_inputs(const Recipe& recipe, const fs::path& folder) {
  run_ranks(1, [&](Communicator& world) {
    Mesh mesh(world, {1, 1});
    ParallelContext context;
    mesh.fill(context);
    context.seed = recipe.seed;
    const auto data = open_dataset(recipe, nullptr);
    const auto model = build_model(recipe, data->vocab_size(), context);
    Weights weights;
    for (const auto& name : model->parameter_names()) weights[name] = model->full_parameter(name);
    write_weights(folder / "weights.safetensors", hugging_face_weights(weights, recipe.base));
    Json config = recipe.resolved.at("model").at("base");
    config["vocab_size"] = data->vocab_size();
    std::ofstream(folder / "config.json") << config.dump(1) << '\n';
    const auto share = share_lanes(0, 1, recipe.train.packs, 1);
    data->start(share.lanes, nullptr);
    StepLoader loader(recipe, *data, model->losses(), mesh.data(), share);
    std::ofstream batches(folder / "batches.jsonl");
    for (int64_t step = 1; step <= recipe.train.steps; ++step)
      batches << step_line(loader.next(),
                           learning_rate(recipe.train.schedule, recipe.train.optimizer.lr, step,
                                         recipe.train.steps))
                     .dump()
              << '\n';
  });
}

}  // namespace

TEST_CASE("dump: weights, batches and losses of a run for its replay in PyTorch", "[.peer_dump]") {
  const char *recipe_path = std::getenv("VEOMNI_DUMP_RECIPE"), *to = std::getenv("VEOMNI_DUMP_TO");
  REQUIRE((recipe_path && to));
  const fs::path folder = to;
  fs::create_directories(folder);
  const std::vector<std::string> overrides = {"output=" + (folder / "run").string(),
                                              "train.steps=100", "eval.every=1000",
                                              "checkpoint.every=0"};
  const auto outcome = run_recipe(recipe_path, {.overrides = overrides});
  std::ofstream losses(folder / "losses.jsonl");
  for (const auto& step : outcome.steps) losses << Json{{"loss", step.at("loss")}}.dump() << '\n';
  const Recipe recipe = read_recipe(recipe_path, overrides);
  dump_inputs(recipe, folder);
  const auto& optimizer = recipe.train.optimizer;
  std::ofstream(folder / "optimizer.json") << Json{{"type", "adamw"},
                                                   {"betas", {optimizer.beta1, optimizer.beta2}},
                                                   {"eps", optimizer.eps},
                                                   {"weight_decay", optimizer.weight_decay},
                                                   {"clip", optimizer.clip}}
                                                  .dump()
                                           << '\n';
}
