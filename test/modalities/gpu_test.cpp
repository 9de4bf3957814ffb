// The whole program's arithmetic on a GPU, against the same run on the CPU. Ranks are threads that share the GPU.
#include <catch2/catch.hpp>

#include "support/same_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

std::string write_recipe(const std::string& kind, const TempDir& folder) {
  return kind == "omni" ? write_omni_recipe(folder.path()) : write_moe_recipe(folder.path());
}

}  // namespace

TEST_CASE("gpu: losses and first gradients are the CPU's, on 1, 2 and 4 ranks", "[.gpu]") {
  const auto kind = GENERATE(std::string("omni"), std::string("moe"));
  TempDir folder;
  const auto recipe = write_recipe(kind, folder);
  const auto cpu = run_recipe(recipe, {.overrides = {"output=cpu"}, .keep_gradients = true});
  const auto gpu =
      run_recipe(recipe, {.overrides = {"output=gpu"}, .keep_gradients = true, .device = "cuda"});
  INFO(kind);
  check_steps(gpu, cpu, "loss", 1e-4);
  check_gradients(gpu, cpu, 2e-5);
  check_evaluation(gpu, cpu, 1e-3);
  struct Layout {
    int replicate, shard;
  };
  for (const auto layout : {Layout{1, 2}, Layout{2, 1}, Layout{2, 2}}) {
    INFO("replicate " << layout.replicate << " shard " << layout.shard);
    const auto many = run_recipe(recipe, {.replicate = layout.replicate,
                                          .shard = layout.shard,
                                          .overrides = {"output=many"},
                                          .keep_gradients = true,
                                          .device = "cuda"});
    check_steps(many, gpu, "loss", 1e-5);
    check_gradients(many, gpu, 1e-5);
    std::filesystem::remove_all(folder.path() / "many");
  }
}

TEST_CASE("gpu: the same run twice gives the same bits", "[.gpu]") {
  const auto kind = GENERATE(std::string("omni"), std::string("moe"));
  TempDir folder;
  const auto recipe = write_recipe(kind, folder);
  const auto run = [&](const std::string& output) {
    return run_recipe(recipe,
                      {.overrides = {"output=" + output, "train.steps=6"}, .device = "cuda"});
  };
  const auto a = run("a"), b = run("b");
  for (size_t s = 0; s < a.steps.size(); ++s) CHECK(a.steps[s]["loss"] == b.steps[s]["loss"]);
  for (const auto& [name, values] : a.parameters) {
    INFO(name);
    CHECK(values.equal(b.parameters.at(name)));
  }
}

TEST_CASE("gpu: dropout draws the CPU's mask", "[.gpu]") {
  TempDir folder;
  const auto recipe = write_omni_recipe(folder.path());
  const auto run = [&](const std::string& device) {
    return run_recipe(recipe,
                      {.overrides = {"output=" + device, "train.steps=4", "train.dropout=0.3"},
                       .device = device});
  };
  const auto cpu = run("cpu");
  check_steps(run("cuda"), cpu, "loss", 1e-4);
}

TEST_CASE("gpu: bf16 trains like fp32", "[.gpu]") {
  TempDir folder;
  const auto recipe = write_moe_recipe(folder.path());
  const auto run = [&](const std::string& precision) {
    return run_recipe(recipe, {.overrides = {"output=" + precision, "train.precision=" + precision},
                               .device = "cuda"});
  };
  const auto fp32 = run("fp32");
  check_steps(run("bf16"), fp32, "loss", 2e-2);
}

TEST_CASE("gpu: a run stopped on one device goes on on the other", "[.gpu]") {
  TempDir folder;
  const auto recipe = write_omni_recipe(folder.path());
  const auto whole =
      run_recipe(recipe, {.overrides = {"output=whole", "checkpoint.every=10"}, .device = "cuda"});
  const auto checkpoint = (folder.path() / "whole/checkpoints/step-00000010").string();
  for (const std::string device : {"cuda", "cpu"}) {
    INFO(device);
    const auto rest = run_recipe(
        recipe, {.overrides = {"output=" + device}, .resume = checkpoint, .device = device});
    REQUIRE(rest.steps.size() == 10);
    for (size_t s = 0; s < rest.steps.size(); ++s) {
      const double expected = whole.steps[s + 10]["loss"], got = rest.steps[s]["loss"];
      if (device == "cuda")
        CHECK(got == expected);
      else
        CHECK(got == Approx(expected).epsilon(1e-4));
    }
  }
}
