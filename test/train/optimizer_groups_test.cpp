// The optimizer's groups against AdamW and SGD written out in fp64.
#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "cmd/engine/flat_math.h"
#include "core/train/optimizer.h"
#include "modalities/table_parameters.h"
#include "parallel/comm/thread.h"
#include "parallel/fsdp/unit.h"

using namespace veomni;

namespace {

/// One unit and a table, whose gradients the test makes up.
class FakeModel : public Model {
 public:
  explicit FakeModel(ParallelContext& context)
      : unit("unit",
             {{"a.weight", {7, 5}, Init::normal(1)},
              {"a.norm", {5}, Init::ones(), false},
              {"b.weight", {3, 9}, Init::normal(1)},
              {"b.bias", {3}, Init::normal(1), false},
              {"c.weight", {11}, Init::normal(1)},
              {"d.weight", {4, 4}, Init::normal(1)},
              {"d.bias", {4}, Init::normal(1), false}},
             context),
        table("tables.t", 6, 3, 1.0, context),
        parameters_(table) {}
  std::vector<Shard*> shards() override { return {&unit.shard()}; }
  std::vector<SparseParameters*> tables() override { return {&parameters_}; }
  const std::vector<LossTerm>& losses() const override { throw std::logic_error("not asked"); }
  Output forward(const Batch&, const ForwardOptions&) override { return {}; }
  at::Tensor next_token_logits(const Batch&, KeyValueCache*, const std::vector<int64_t>&) override {
    return {};
  }
  void begin_step(const PartUse&) override {}
  void reduce_gradients() override {}
  std::map<std::string, at::Tensor> buffers() override { return {}; }
  at::Tensor expert_loads() const override { return {}; }
  void finish_step() override {}
  double flops(const Batch&) const override { return 0; }
  int64_t parameter_count() const override { return 0; }
  int64_t frozen_count() const override { return 0; }
  at::Tensor full_parameter(const std::string& name) override { return unit.full_parameter(name); }
  at::Tensor full_gradient(const std::string& name) override { return unit.full_gradient(name); }
  std::vector<std::string> parameter_names() const override { return {}; }

  Unit unit;
  Table table;

 private:
  TableParameters parameters_;
};

TrainConfig config(const std::string& type) {
  TrainConfig train;
  train.optimizer = {.type = type, .lr = 0.02, .weight_decay = 0.3};
  if (type == "sgd") train.optimizer.momentum = 0.9;
  train.schedule = {.type = "cosine", .warmup = 2, .final = 0.1};
  train.groups = {{.match = "b.*", .lr = 0.005, .weight_decay = 0.7},
                  {.match = "c.*", .frozen = true},
                  {.match = "*.bias", .lr = 0.08},
                  {.match = "d.*", .weight_decay = 0.0},
                  {.match = "tables.*", .lr = 0.05}};
  return train;
}

/// What a parameter's group makes of the settings above.
struct Expected {
  double lr, decay;
};
const std::map<std::string, Expected> kExpected{
    {"a.weight", {0.02, 0.3}}, {"a.norm", {0.02, 0}},   {"b.weight", {0.005, 0.7}},
    {"b.bias", {0.005, 0}},    {"d.weight", {0.02, 0}}, {"d.bias", {0.08, 0}},
    {"tables.t", {0.05, 0}},
};

constexpr int64_t kSteps = 6;

/// Warm-up over 2 of kSteps steps, then half a cosine down to a tenth.
double shape(int64_t step) {
  if (step <= 2) return static_cast<double>(step) / 2;
  const double done = static_cast<double>(step - 2) / (kSteps - 2);
  return 0.1 + 0.9 * 0.5 * (1 + std::cos(M_PI * done));
}

at::Tensor gradient_of(const std::string& name, int64_t step, at::IntArrayRef shape) {
  auto generator =
      at::detail::createCPUGenerator(std::hash<std::string>{}(name) + static_cast<uint64_t>(step));
  return at::randn(shape, generator, at::kFloat);
}

constexpr double kScale = 0.5;

/// kSteps updates of one parameter in fp64.
at::Tensor reference(const std::string& name, at::Tensor value, const std::string& type) {
  const auto [base_lr, decay] = kExpected.at(name);
  at::Tensor w = value.to(at::kDouble), m = at::zeros_like(w), v = at::zeros_like(w);
  for (int64_t step = 1; step <= kSteps; ++step) {
    const at::Tensor g = gradient_of(name, step, w.sizes()).to(at::kDouble) * kScale;
    const double lr = base_lr * shape(step);
    if (type == "sgd") {
      const bool momentum = name != "tables.t";  // tables: plain steps
      m = m * (momentum ? 0.9 : 0.0) + g + decay * w;
      w = w - lr * m;
      continue;
    }
    m = 0.9 * m + 0.1 * g;
    v = 0.95 * v + 0.05 * g * g;
    const auto n = static_cast<double>(step);
    w = w * (1 - lr * decay) -
        lr * (m / (1 - std::pow(0.9, n))) / ((v / (1 - std::pow(0.95, n))).sqrt() + 1e-8);
  }
  return w;
}

void set_gradients(FakeModel& model, int64_t step) {
  Shard& shard = model.unit.shard();
  for (const auto& slice : shard.slices) {
    if (!shard.trains(slice)) continue;
    const int64_t count = slice.end - slice.begin;
    shard.gradient.narrow(0, slice.offset, count)
        .copy_(gradient_of(slice.parameter, step, slice.shape)
                   .view({-1})
                   .narrow(0, slice.begin, count));
  }
  const at::Tensor rows = at::arange(6, at::kLong);
  (model.table.lookup(rows) * gradient_of("tables.t", step, {6, 3})).sum().backward();
  model.table.reduce_gradients();
}

std::map<std::string, at::Tensor> values_of(FakeModel& model) {
  std::map<std::string, at::Tensor> values{{"tables.t", model.table.weight().clone()}};
  for (const auto& parameter : model.unit.parameters())
    values[parameter.name] = model.unit.full_parameter(parameter.name);
  return values;
}

}  // namespace

TEST_CASE("optimizer: each group's learning rate and weight decay are those of a reference in fp64",
          "[train][groups][ranks]") {
  const auto type = GENERATE(std::string("adamw"), std::string("sgd"));
  const auto ranks = GENERATE(1, 2, 3);
  std::map<std::string, at::Tensor> before, after;
  std::vector<int64_t> states(static_cast<size_t>(ranks));
  run_ranks(ranks, [&](Communicator& world) {
    const TrainConfig train = config(type);
    ParallelContext context{.dense = &world, .seed = 4, .groups = train.groups};
    FakeModel model(context);
    const FlatMath math = flat_math();
    Optimizer optimizer(train, model, math);
    auto first = values_of(model);
    for (int64_t step = 1; step <= kSteps; ++step) {
      set_gradients(model, step);
      optimizer.update(learning_rates(train, step, kSteps), step, kScale);
    }
    auto last = values_of(model);
    for (const auto& state : optimizer.states(0))
      states[static_cast<size_t>(world.rank())] += state.values.numel();
    if (world.rank() == 0) before = first, after = last;
  });
  for (const auto& [name, value] : after) {
    INFO(type << ", " << ranks << " ranks: " << name);
    if (name == "c.weight") {
      CHECK(value.equal(before.at(name)));
      continue;
    }
    const at::Tensor want = reference(name, before.at(name), type);
    CHECK((value.to(at::kDouble) - want).abs().max().item<double>() < 4e-6);
    CHECK((before.at(name).to(at::kDouble) - want).abs().max().item<double>() > 1e-3);
  }
  // Each state has the trained parameters' elements, in blocks of 16, and none of c.weight's.
  const int64_t per_parameter = type == "adamw" ? 2 : 1;
  const int64_t flat = (48 + 16 + 32 + 16 + 16 + 16 + ranks * 16 - 1) / (ranks * 16) * (ranks * 16);
  for (const int64_t count : states) CHECK(count == per_parameter * flat / ranks);
}
