// Which experts tokens visit: figures of it, the bias that evens it out, experts in turn.
#include "modalities/base/router.h"

#include <ATen/ATen.h>

#include <cmath>

#include "core/checkpoint/checkpoint.h"
#include "core/train/router_loads.h"
#include "support/same_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

BlockConfig four_experts(bool normed) {
  BlockConfig config;
  config.num_experts = 4;
  config.num_experts_per_tok = 2;
  config.norm_topk_prob = normed;
  return config;
}

/// Probabilities 0.1, 0.2, 0.3, 0.4 for every token: x is 1, the router's weights their logarithms.
RouterInput rising(int64_t tokens) {
  return {.x = at::ones({tokens, 1}),
          .weight = at::tensor({0.1, 0.2, 0.3, 0.4}).log().to(at::kFloat).unsqueeze(1),
          .bias = {},
          .turns = {}};
}

constexpr const char* kBase = "model.base.";

std::vector<std::string> without_loss(const std::vector<std::string>& more) {
  std::vector<std::string> all{std::string(kBase) + "router_aux_loss_coef=0"};
  for (const auto& key : more) all.push_back(key);
  return all;
}

/// [L, E] of a step that tells of each.
at::Tensor loads_of(const Json& step) {
  std::vector<at::Tensor> layers;
  for (const auto& [layer, figures] : step.at("router").items())
    layers.push_back(at::tensor(figures.at("loads").get<std::vector<double>>(), at::kDouble));
  return at::stack(layers);
}

at::Tensor saved_bias(const std::filesystem::path& run, int step) {
  const Checkpoint checkpoint(run / "checkpoints" / ("step-0000000" + std::to_string(step)));
  auto bias = at::empty({2, 4}, at::kFloat);
  checkpoint.read({"buffer.router_bias", "F32", {2, 4}, 0, 8, bias.mutable_data_ptr()});
  return bias;
}

}  // namespace

TEST_CASE("router: a bias changes who is chosen, gates stay the router's own",
          "[modalities][router]") {
  auto input = rising(3);
  const auto plain = route(input, four_experts(false), nullptr);
  CHECK(plain.chosen[0].equal(at::tensor({3, 2}, at::kLong)));
  input.bias = at::tensor({0.35F, 0.F, 0.F, 0.F});  // 0.45 for expert 0
  Routing routing;
  const auto biased = route(input, four_experts(false), &routing);
  CHECK(biased.chosen[2].equal(at::tensor({0, 3}, at::kLong)));
  CHECK(biased.gates.allclose(at::tensor({0.1F, 0.4F}).expand({3, 2})));
  CHECK(routing.counts.equal(at::tensor({3., 0., 0., 3.}, at::kDouble)));
  CHECK(routing.probability_sum.allclose(at::tensor({0.3F, 0.6F, 0.9F, 1.2F})));
  const auto normed = route(input, four_experts(true), nullptr);
  CHECK(normed.gates.allclose(at::tensor({0.2F, 0.8F}).expand({3, 2})));
}

TEST_CASE("router: in turn every expert gets as much, whatever the router says",
          "[modalities][router]") {
  auto input = rising(6);
  const int64_t lane = int64_t{5} << 32;
  input.turns = at::arange(lane, lane + 6, at::kLong);
  Routing routing;
  const auto choice = route(input, four_experts(false), &routing);
  CHECK(choice.chosen[0].equal(at::tensor({2, 3}, at::kLong)));  // lane 5
  CHECK(choice.chosen[1].equal(at::tensor({0, 1}, at::kLong)));
  CHECK(choice.gates[1].allclose(at::tensor({0.1F, 0.2F})));
  CHECK(routing.counts.equal(at::full({4}, 3, at::kDouble)));
}

TEST_CASE("router: figures of the load", "[modalities][router]") {
  const auto json =
      router_json(at::tensor({6., 2., 0., 0., 3., 3., 3., 3.}, at::kDouble).view({2, 4}), true);
  CHECK(json["0"]["max_over_mean"] == 3.0);
  CHECK(json["0"]["idle"] == 2);
  const double entropy = -(0.75 * std::log(0.75) + 0.25 * std::log(0.25)) / std::log(4.0);
  CHECK(json["0"]["entropy"].get<double>() == Approx(entropy));
  CHECK(json["0"]["loads"] == Json({6, 2, 0, 0}));
  CHECK(json["1"]["max_over_mean"] == 1.0);
  CHECK(json["1"]["entropy"].get<double>() == Approx(1));
  CHECK_FALSE(router_json(at::ones({1, 2}, at::kDouble), false)["0"].contains("loads"));
}

TEST_CASE("router: loads are those of all tokens of a step on any number of ranks",
          "[modalities][router]") {
  const TempDir folder;
  const auto recipe = write_moe_recipe(folder.path());
  const auto run = [&](const std::string& name, RunOptions options) {
    options.overrides = without_loss(
        {"train.steps=6", "output=" + name, std::string(kBase) + "router_bias_update_rate=0.02"});
    options.keep_gradients = true;
    return run_recipe(recipe, options);
  };
  const auto one = run("one", {});
  for (const size_t step : {0, 5}) {
    const auto loads = loads_of(one.steps[step]);
    const double choices = 2 * one.steps[step]["tokens"].get<double>();
    CHECK(loads.sum(1).equal(at::full({2}, choices, at::kDouble)));
  }
  CHECK_FALSE(one.steps[2]["router"]["0"].contains("loads"));
  int number = 0;
  for (const RunOptions& options :
       {RunOptions{.shard = 2}, RunOptions{.replicate = 2, .shard = 2, .expert = 2},
        RunOptions{.shard = 2, .sequence = 2, .expert = 4},
        RunOptions{.shard = 2, .accumulate = true}}) {
    INFO("layout " << number);
    const auto many = run("many" + std::to_string(number++), options);
    check_steps(many, one, "loss", 1e-5);
    check_gradients(many, one, 1e-5);
    for (const size_t step : {0, 5}) CHECK(many.steps[step]["router"] == one.steps[step]["router"]);
  }
}

TEST_CASE("router: the bias moves by its rate towards an even load, and resumes to the bit",
          "[modalities][router][resume]") {
  const TempDir folder;
  const auto recipe = write_moe_recipe(folder.path());
  const auto run = [&](const std::string& name, int steps, const std::string& resume = {}) {
    return run_recipe(
        recipe,
        {.shard = 2,
         .overrides = without_loss({"train.steps=" + std::to_string(steps), "output=" + name,
                                    "checkpoint.every=1", "checkpoint.keep=9",
                                    std::string(kBase) + "router_bias_update_rate=0.25"}),
         .resume = resume});
  };
  const auto two = run("two", 2);
  auto expected = at::zeros({2, 4}, at::kDouble);
  for (int step = 1; step <= 2; ++step) {
    const auto loads = loads_of(two.steps[static_cast<size_t>(step - 1)]);
    expected += 0.25 * (loads.mean(1, true) - loads).sign();
    CHECK(saved_bias(folder / "two", step).to(at::kDouble).equal(expected));
  }
  const auto whole = run("whole", 6);
  const auto resumed = run("resumed", 6, (folder / "whole/checkpoints/step-00000003").string());
  for (const auto& [name, values] : whole.parameters) {
    INFO(name);
    CHECK(values.equal(resumed.parameters.at(name)));
  }
  CHECK(saved_bias(folder / "whole", 6).equal(saved_bias(folder / "resumed", 6)));
}

TEST_CASE("router: a frozen router keeps its bias too", "[modalities][router]") {
  const TempDir folder;
  const auto recipe = write_moe_recipe(folder.path());
  run_recipe(recipe, {.overrides = without_loss(
                          {"train.steps=3", "output=frozen", "checkpoint.every=1",
                           std::string(kBase) + "router_bias_update_rate=0.25",
                           R"(train.groups=[{"match":"*.layers.0.mlp.gate.*","frozen":true}])"})});
  const auto bias = saved_bias(folder / "frozen", 3);
  CHECK(bias[0].equal(at::zeros({4})));
  CHECK_FALSE(bias[1].equal(at::zeros({4})));
}

TEST_CASE("router: with the bias experts are busier alike than without", "[modalities][router]") {
  const TempDir folder;
  const auto recipe = write_moe_recipe(folder.path());
  const auto busiest = [&](const std::string& rate) {
    const auto outcome = run_recipe(
        recipe,
        {.overrides = without_loss({"train.steps=100", "output=rate" + rate, "train.packs=8",
                                    "train.pack_tokens=128", std::string(kBase) + "num_experts=16",
                                    std::string(kBase) + "router_bias_update_rate=" + rate})});
    double sum = 0;
    for (size_t s = 80; s < 100; ++s)
      for (const auto& [layer, figures] : outcome.steps[s]["router"].items())
        sum += figures["max_over_mean"].get<double>() / 40;
    return sum;
  };
  const double plain = busiest("0"), biased = busiest("0.002");
  INFO(plain << " without, " << biased << " with the bias");
  CHECK(biased - 1 < 0.6 * (plain - 1));
}

TEST_CASE("router: forced, loads differ by no more than a choice a pack, on any ranks",
          "[modalities][router]") {
  const TempDir folder;
  const auto recipe = write_moe_recipe(folder.path());
  const auto run = [&](const std::string& name, RunOptions options) {
    options.overrides = without_loss(
        {"train.steps=3", "output=" + name, std::string(kBase) + "router_force_balance=true"});
    return run_recipe(recipe, options);
  };
  const auto one = run("one", {}), many = run("many", {.shard = 2, .sequence = 2, .expert = 2});
  const auto loads = loads_of(one.steps[0]);
  CHECK((loads.amax() - loads.amin()).item<double>() <= 4);  // four packs
  CHECK(many.steps[0]["router"] == one.steps[0]["router"]);
  check_steps(many, one, "loss", 1e-6);
}
