// train.groups in whole trainings: what is frozen stays, the rest moves, whatever the ranks; checkpoints and resuming.
#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "core/train/resume.h"
#include "support/tiny_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

/// The base and an encoder's blocks are frozen, its projector has a learning rate of its own.
const char* const kOmniStart =
    R"(train.groups=[{"match":"encoders.photo.projector.*","lr":0.01},{"match":"encoders.photo.*","frozen":true},)"
    R"({"match":"tables.place","frozen":true},{"match":"base.*","frozen":true}])";
/// Only what stands below a frozen rest: gradients pass through it.
const char* const kPhotoOnly =
    R"(train.groups=[{"match":"encoders.photo.*","lr":0.01},{"match":"*","frozen":true}])";
const char* const kTablesOnly =
    R"(train.groups=[{"match":"*table*","lr":0.01},{"match":"*","frozen":true}])";
/// Blocks of which a part is frozen, and a stack whose lower half is.
const char* const kMixed =
    R"(train.groups=[{"match":"base.layers.0.*","frozen":true},{"match":"*norm.weight","lr":0.002},)"
    R"({"match":"*.o_proj.*","frozen":true},{"match":"heads.*","weight_decay":0.5},)"
    R"({"match":"encoders.customer.layers.*","frozen":true}])";

std::vector<std::string> with(std::vector<std::string> overrides, const std::string& more) {
  overrides.push_back(more);
  return overrides;
}

/// The values every run of the recipe starts from: one step that moves nothing.
std::map<std::string, at::Tensor> first_values(const std::string& recipe) {
  return run_recipe(recipe, {.overrides = {"output=still", "train.steps=1",
                                           "train.schedule.warmup=0", "train.optimizer.lr=0"}})
      .parameters;
}

std::string checkpoint_of(const TempDir& folder, const std::string& run, int64_t step) {
  return (folder.path() / run / "checkpoints" / checkpoint_name(step)).string();
}

}  // namespace

TEST_CASE("groups: what is frozen keeps its bits, and everything else moves", "[train][groups]") {
  TempDir folder;
  const auto recipe = write_omni_recipe(folder.path());
  const auto before = first_values(recipe);
  const std::string groups = GENERATE(kOmniStart, kPhotoOnly, kTablesOnly, kMixed);
  const auto ranks = GENERATE(1, 2);
  const auto precision = GENERATE(std::string("fp32"), std::string("bf16"));
  const std::vector<std::string> overrides{"output=run", "train.steps=6",
                                           "train.precision=" + precision, groups};
  const auto config = read_recipe(recipe, overrides).train.groups;
  const auto run = run_recipe(recipe, {.shard = ranks, .overrides = overrides});
  INFO(groups << " on " << ranks << " in " << precision);
  for (const auto& [name, values] : run.parameters) {
    INFO(name);
    CHECK(values.equal(before.at(name)) == is_frozen(config, name));
  }
}

TEST_CASE("groups: N ranks equal one rank", "[train][groups][ranks]") {
  TempDir folder;
  const auto recipe = write_omni_recipe(folder.path());
  const std::string groups = GENERATE(kOmniStart, kPhotoOnly, kTablesOnly, kMixed);
  const std::vector<std::string> overrides{R"(train.optimizer={"type":"sgd","lr":0.05})",
                                           "train.steps=5", groups};
  const auto one =
      run_recipe(recipe, {.overrides = with(overrides, "output=one"), .keep_gradients = true});
  for (const auto& [replicate, shard] :
       {std::pair(1, 2), std::pair(2, 1), std::pair(2, 2), std::pair(1, 4)}) {
    INFO(groups << ": replicate " << replicate << " × shard " << shard);
    const auto output = fmt::format("output=many-{}-{}", replicate, shard);
    const auto many = run_recipe(recipe, {.replicate = replicate,
                                          .shard = shard,
                                          .overrides = with(overrides, output),
                                          .keep_gradients = true});
    for (size_t s = 0; s < one.steps.size(); ++s) {
      for (const char* key : {"loss", "grad_norm"})
        CHECK(many.steps[s][key].get<double>() ==
              Approx(one.steps[s][key].get<double>()).epsilon(2e-6));
    }
    for (const auto& [name, gradient] : one.gradients) {
      INFO(name);
      REQUIRE(many.gradients.at(name).defined() == gradient.defined());
      if (gradient.defined()) CHECK(relative_difference(many.gradients.at(name), gradient) < 1e-5);
    }
    for (const auto& [name, values] : one.parameters) {
      INFO(name);
      CHECK(relative_difference(many.parameters.at(name), values) < 1e-6);
    }
  }
}

TEST_CASE("groups: gradients of what is trained are those of a run without groups",
          "[train][groups]") {
  TempDir folder;
  const auto recipe =
      GENERATE(true, false) ? write_omni_recipe(folder.path()) : write_moe_recipe(folder.path());
  const auto all =
      run_recipe(recipe, {.overrides = {"output=all", "train.steps=1", "train.schedule.warmup=0"},
                          .keep_gradients = true});
  const auto groups = GENERATE(
      std::string(R"(train.groups=[{"match":"base.layers.*","frozen":true}])"),
      std::string(
          R"(train.groups=[{"match":"*.down_proj*","frozen":true},{"match":"*norm*","frozen":true}])"),
      std::string(
          R"(train.groups=[{"match":"model.special_tokens.*","lr":1},{"match":"base.layers.1.*","lr":1},{"match":"base.*","frozen":true}])"));
  const auto ranks = GENERATE(1, 2);
  const auto some = run_recipe(
      recipe, {.shard = ranks,
               .overrides = {"output=some", "train.steps=1", "train.schedule.warmup=0", groups},
               .keep_gradients = true});
  double squares = 0;
  for (const auto& [name, gradient] : some.gradients) {
    if (!gradient.defined()) continue;
    INFO(groups << ": " << name << " on " << ranks);
    CHECK(relative_difference(gradient, all.gradients.at(name)) < (ranks == 1 ? 1e-7 : 1e-5));
    squares += gradient.to(at::kDouble).square().sum().item<double>();
  }
  CHECK(some.steps[0]["grad_norm"].get<double>() == Approx(std::sqrt(squares)).epsilon(1e-6));
  CHECK(some.steps[0]["loss"].get<double>() ==
        Approx(all.steps[0]["loss"].get<double>()).epsilon(1e-6));
}

TEST_CASE(
    "groups: resumed runs have the bits of the uninterrupted one; frozen parameters have no state",
    "[train][groups][resume]") {
  TempDir folder;
  const auto recipe = write_omni_recipe(folder.path());
  const auto ranks = GENERATE(1, 2);
  const std::vector<std::string> overrides{kOmniStart, "train.steps=8", "checkpoint.every=3"};
  const auto whole =
      run_recipe(recipe, {.shard = ranks, .overrides = with(overrides, "output=whole")});
  run_recipe(recipe, {.shard = ranks,
                      .overrides = with(with(overrides, "output=part"), "checkpoint.keep=9")});
  const Checkpoint saved(checkpoint_of(folder, "part", 3));
  const auto groups = read_recipe(recipe, overrides).train.groups;
  for (const auto& name : saved.names()) {
    if (name.starts_with("optimizer.") || name.starts_with("buffer.")) continue;
    INFO(name);
    for (const char* state : {"optimizer.exp_avg.", "optimizer.exp_avg_sq."})
      CHECK(saved.has(state + name) == !is_frozen(groups, name));
  }
  const auto resumed = run_recipe(recipe, {.shard = ranks,
                                           .overrides = with(overrides, "output=resumed"),
                                           .resume = saved.directory().string()});
  for (const auto& [name, values] : whole.parameters) {
    INFO(name);
    CHECK(values.equal(resumed.parameters.at(name)));
  }
  // On other ranks, with a layout of its own.
  const auto moved = run_recipe(recipe, {.shard = 4,
                                         .overrides = with(overrides, "output=moved"),
                                         .resume = saved.directory().string()});
  for (const auto& [name, values] : whole.parameters) {
    INFO(name);
    if (is_frozen(groups, name)) CHECK(values.equal(moved.parameters.at(name)));
  }
  CHECK(moved.steps.back()["loss"].get<double>() ==
        Approx(whole.steps.back()["loss"].get<double>()).epsilon(1e-5));
}

TEST_CASE("groups: on resume more may be frozen, but nothing that was may be trained",
          "[train][groups][resume]") {
  TempDir folder;
  const auto recipe = write_omni_recipe(folder.path());
  const std::string some = R"(train.groups=[{"match":"encoders.photo.*","frozen":true}])";
  run_recipe(recipe, {.overrides = {"output=run", "train.steps=2", some}});
  const Checkpoint saved(checkpoint_of(folder, "run", 2));
  const auto check = [&](const std::vector<std::string>& overrides) {
    check_resume(read_recipe(recipe, overrides), saved);
  };
  CHECK_NOTHROW(check({some, "train.optimizer.lr=0.5"}));
  CHECK_NOTHROW(check(
      {R"(train.groups=[{"match":"encoders.photo.*","frozen":true},{"match":"base.*","lr":1e-5}])"}));
  const std::string more =
      R"(train.groups=[{"match":"encoders.*","frozen":true},{"match":"base.*","frozen":true}])";
  CHECK_NOTHROW(check({more}));
  const auto run = run_recipe(recipe, {.overrides = {"output=run", "train.steps=4", more},
                                       .resume = saved.directory().string()});
  at::Tensor base = at::zeros(run.parameters.at("model.norm.weight").sizes());
  saved.read({"model.norm.weight", "F32", base.sizes().vec(), 0, base.numel(), base.data_ptr()});
  CHECK(run.parameters.at("model.norm.weight").equal(base));
  for (
      const auto& fewer :
      {std::string("train.groups=[]"),
       std::string(
           R"(train.groups=[{"match":"*.photo.projector.*","lr":1},{"match":"encoders.photo.*","frozen":true}])")}) {
    INFO(fewer);
    CHECK_THROWS_WITH(check({fewer}), Catch::Contains("is frozen in this checkpoint, which has no "
                                                      "optimizer state for it; keep it frozen"));
  }
}

TEST_CASE("groups: an optimizer without state may go on with what was frozen",
          "[train][groups][resume]") {
  TempDir folder;
  const auto recipe = write_omni_recipe(folder.path());
  const std::vector<std::string> sgd{R"(train.optimizer={"type":"sgd","lr":0.05})", "output=run",
                                     "train.schedule.warmup=0"};
  run_recipe(recipe, {.overrides = with(with(sgd, kPhotoOnly), "train.steps=1")});
  const Checkpoint saved(checkpoint_of(folder, "run", 1));
  CHECK_NOTHROW(check_resume(read_recipe(recipe, with(sgd, "train.steps=3")), saved));
  const auto before = first_values(recipe);
  const auto run = run_recipe(
      recipe, {.overrides = with(sgd, "train.steps=3"), .resume = saved.directory().string()});
  CHECK_FALSE(run.parameters.at("model.norm.weight").equal(before.at("model.norm.weight")));
  CHECK_THROWS_WITH(
      check_resume(read_recipe(recipe, {R"(train.optimizer={"type":"sgd","momentum":0.9})"}),
                   saved),
      Catch::Contains("is frozen in this checkpoint"));
}
