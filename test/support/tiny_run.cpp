#include "support/tiny_run.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <fstream>
#include <mutex>
#include <random>

#include "core/data/sample.h"
#include "kernels/optimizer.h"
#include "modalities/all.h"
#include "modalities/model.h"
#include "parallel/comm/thread.h"
#include "parallel/mesh.h"
#include "parallel/plan/plan.h"

namespace veomni::test {
namespace fs = std::filesystem;
namespace {

void register_once() {
  static std::once_flag once;
  std::call_once(once, [] {
    register_specs();
    register_parts();
  });
}

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string big_endian(uint32_t value) {
  std::string out;
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(value >> shift & 0xFF);
  return out;
}

/// Images whose brightness tells their class, and labels.
void write_images(const fs::path& folder, std::mt19937& random) {
  constexpr uint32_t kCount = 60, kSide = 8;
  std::string images =
      big_endian(0x803) + big_endian(kCount) + big_endian(kSide) + big_endian(kSide);
  std::string labels = big_endian(0x801) + big_endian(kCount);
  for (uint32_t i = 0; i < kCount; ++i) {
    const auto label = static_cast<uint32_t>(random() % 3);
    labels += static_cast<char>(label);
    for (uint32_t p = 0; p < kSide * kSide; ++p)
      images += static_cast<char>(label * 80 + random() % 60);
  }
  write(folder / "images.idx", images);
  write(folder / "labels.idx", labels);
}

void write_customers(const fs::path& folder, std::mt19937& random) {
  std::string csv = "age,city,history,visit,buys,spend,importance\n";
  const char* cities[] = {"Ulm", "Bonn", "Köln", ""};
  for (int i = 0; i < 120; ++i) {
    const int age = static_cast<int>(random() % 60), city = static_cast<int>(random() % 4);
    const int visit = (age + static_cast<int>(random() % 30)) > 45,
              buys = visit && random() % 3 == 0;
    csv += fmt::format("{},{},{} {},{},{},{},{}\n", age, cities[city], random() % 9, random() % 9,
                       visit, buys, buys ? 1 + random() % 50 : 0, 1 + random() % 3);
  }
  write(folder / "customers.csv", csv);
}

void write_text(const fs::path& folder, std::mt19937& random) {
  const char* words[] = {"the ", "cat ", "sat ", "on ", "a ", "mat. ", "dogs ", "bark\n"};
  std::string text;
  for (int i = 0; i < 700; ++i) text += words[random() % 8];
  write(folder / "text.txt", text);
}

}  // namespace

TempDir::TempDir() {
  auto pattern = (fs::temp_directory_path() / "veomni-test-XXXXXX").string();
  path_ = mkdtemp(pattern.data());
}

TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string write_omni_recipe(const fs::path& folder) {
  std::mt19937 random(7);
  write_text(folder, random);
  write_images(folder, random);
  write_customers(folder, random);
  write(folder / "omni.json", R"({
  "name": "omni", "seed": 3,
  "model": {
    "base": { "family": "qwen3", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
              "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8 },
    "tables": { "place": { "rows": 16, "dim": 4 } },
    "encoders": {
      "photo": { "type": "image", "patch_size": 4, "channels": 1, "hidden_size": 16, "num_hidden_layers": 1,
                 "num_attention_heads": 2, "intermediate_size": 24 },
      "customer": { "type": "features", "hidden_size": 12, "num_hidden_layers": 1, "dim": 4, "rows": 32,
        "columns": { "age": { "type": "number", "bins": 4 }, "city": { "type": "category", "table": "place" },
                     "history": { "type": "category", "list": { "max": 4 } } } } },
    "decoders": { "text": { "type": "text" } },
    "heads": { "label": { "type": "classification", "classes": 3 }, "visit": { "type": "binary" },
               "buys": { "type": "binary", "given": "visit" }, "spend": { "type": "revenue", "weight": 0.1 } } },
  "tokenizer": "characters",
  "data": { "sources": [
    { "name": "words", "format": "text", "path": "text.txt", "sample_tokens": 24, "weight": 1,
      "split": { "train": [0.0, 0.8], "eval": [0.8, 1.0] },
      "sample": [ { "part": "text", "field": "text", "learn": true } ] },
    { "name": "pictures", "format": "idx", "path": "images.idx", "labels": "labels.idx",
      "split": { "train": [0.0, 0.7], "eval": [0.7, 1.0] },
      "sample": [ { "part": "photo", "field": "image" } ], "targets": { "label": "label" } },
    { "name": "customers", "format": "csv", "path": "customers.csv", "weight": 2, "sample_weight": "importance",
      "split": { "train": [0.0, 0.7], "eval": [0.7, 1.0] },
      "sample": [ { "part": "customer" } ], "targets": { "visit": "visit", "buys": "buys", "spend": "spend" } } ] },
  "train": { "steps": 20, "packs": 4, "pack_tokens": 64,
             "optimizer": { "type": "adamw", "lr": 0.003 }, "schedule": { "type": "cosine", "warmup": 2 } },
  "output": "run" })");
  return (folder / "omni.json").string();
}

std::string write_moe_recipe(const fs::path& folder) {
  std::mt19937 random(8);
  write_text(folder, random);
  write(folder / "moe.json", R"({
  "name": "moe", "seed": 5,
  "model": {
    "base": { "family": "qwen3_moe", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
              "num_key_value_heads": 2, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2,
              "moe_intermediate_size": 16, "router_aux_loss_coef": 0.01, "router_z_loss_coef": 0.001 },
    "decoders": { "text": { "type": "text" } } },
  "tokenizer": "characters",
  "data": { "sources": [
    { "name": "words", "format": "text", "path": "text.txt", "sample_tokens": 24,
      "split": { "train": [0.0, 0.8], "eval": [0.8, 1.0] },
      "sample": [ { "part": "text", "field": "text", "learn": true } ] } ] },
  "train": { "steps": 20, "packs": 4, "pack_tokens": 64,
             "optimizer": { "type": "adamw", "lr": 0.003 }, "schedule": { "type": "cosine", "warmup": 2 } },
  "output": "run" })");
  return (folder / "moe.json").string();
}

namespace {

std::vector<Json> read_lines(const fs::path& path) {
  std::vector<Json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(Json::parse(line));
  return lines;
}

FlatMath flat_math() {
  return {[](at::Tensor& p, const at::Tensor& g, at::Tensor& m, at::Tensor& v, const AdamWStep& s) {
            kernels::adamw_(
                p, g, m, v,
                {s.lr, s.beta1, s.beta2, s.eps, s.weight_decay, s.step, s.gradient_scale});
          },
          [](const at::Tensor& x) { return kernels::sum_of_squares(x); }};
}

/// Gradients of the first step, by running it once beside the trainer's own on a dataset of its own.
std::map<std::string, at::Tensor> first_gradients(const Recipe& recipe, Mesh& mesh,
                                                  const Plan& plan) {
  ParallelContext context;
  mesh.fill(context);
  context.seed = recipe.seed;
  const auto data = open_dataset(recipe, nullptr);
  const auto model = build_model(recipe, data->vocab_size(), context);
  const auto share = share_lanes(mesh.data().rank(), mesh.data().size(), recipe.train.packs,
                                 plan.packs_per_micro_batch);
  std::vector<int64_t> lanes;
  for (const auto lane : share.lanes) {
    if (lane >= 0) lanes.push_back(lane);
  }
  data->start(lanes, nullptr);
  StepLoader loader(recipe, *data, model->losses(), mesh.data(), share);
  auto input = loader.next();
  model->begin_step(input.use);
  ForwardOptions options;
  options.train = true;
  options.counts = input.counts;
  options.step_tokens = input.tokens;
  for (auto& [batch, use] : input.micro_batches) {
    options.use = use;
    model->forward(batch, options).objective.backward();
  }
  model->reduce_gradients();
  std::map<std::string, at::Tensor> gradients;
  for (const auto& name : model->parameter_names()) gradients[name] = model->full_gradient(name);
  return gradients;
}

}  // namespace

RunOutcome run_recipe(const std::string& recipe_path, const RunOptions& options) {
  register_once();
  const Recipe recipe = read_recipe(recipe_path, options.overrides);
  RunOutcome outcome;
  run_ranks(options.replicate * options.shard, [&](Communicator& world) {
    auto sized = recipe;
    sized.parallel = {options.replicate, options.shard};
    const Plan plan = make_plan(sized, world.size());
    Mesh mesh(world, {plan.replicate, plan.shard});
    if (options.keep_gradients) {
      auto gradients = first_gradients(sized, mesh, plan);
      if (world.rank() == 0) outcome.gradients = std::move(gradients);
    }
    ParallelContext context;
    mesh.fill(context);
    context.seed = sized.seed;
    context.compute_bf16 = sized.train.precision == "bf16";
    std::unique_ptr<Checkpoint> start;
    if (!options.resume.empty()) start = std::make_unique<Checkpoint>(options.resume);
    const auto data = open_dataset(sized, start ? start->state().at("data") : Json(nullptr));
    const auto model = build_model(sized, data->vocab_size(), context);
    std::unique_ptr<RunLog> log;
    const int64_t first = start ? start->state().at("step").get<int64_t>() : 0;
    if (world.rank() == 0) {
      fs::create_directories(sized.output);
      log = std::make_unique<RunLog>(RunLogSettings{sized.output, first, sized.train.steps, true});
    }
    if (options.before_run) options.before_run(world);
    const auto math = flat_math();
    Trainer trainer({.recipe = sized,
                     .data = *data,
                     .model = *model,
                     .world = world,
                     .data_group = mesh.data(),
                     .writes_shards = mesh.replicate().rank() == 0,
                     .packs_per_micro_batch = plan.packs_per_micro_batch,
                     .math = math,
                     .log = log.get()});
    if (start) trainer.restore(*start);
    const auto result = trainer.run();
    std::map<std::string, at::Tensor> parameters;
    for (const auto& name : model->parameter_names())
      parameters[name] = model->full_parameter(name);
    if (world.rank() != 0) return;
    outcome.result = result;
    outcome.evaluation = result.evaluation;
    outcome.parameters = std::move(parameters);
    log->close();
    for (auto& line : read_lines(fs::path(sized.output) / "metrics.jsonl")) {
      if (line.contains("loss")) outcome.steps.push_back(line);
    }
  });
  return outcome;
}

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  const auto difference = (a.to(at::kDouble) - b.to(at::kDouble)).norm().item<double>();
  const auto size = b.to(at::kDouble).norm().item<double>();
  return size > 0 ? difference / size : difference;
}

void register_all_parts() { register_once(); }

}  // namespace veomni::test
