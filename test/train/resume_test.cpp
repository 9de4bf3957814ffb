#include "core/train/resume.h"

#include <catch2/catch.hpp>
#include <csignal>

#include "core/checkpoint/checkpoint.h"
#include "core/train/stop.h"
#include "support/tiny_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

std::string checkpoint_of(const TempDir& folder, const std::string& run, int64_t step) {
  return (folder.path() / run / "checkpoints" / checkpoint_name(step)).string();
}

}  // namespace

TEST_CASE("resume: on the same ranks it gives the bits of the uninterrupted run",
          "[train][resume]") {
  TempDir folder;
  const auto recipe =
      GENERATE(true, false) ? write_omni_recipe(folder.path()) : write_moe_recipe(folder.path());
  const auto ranks = GENERATE(1, 2);
  const auto whole =
      run_recipe(recipe, {.shard = ranks, .overrides = {"output=whole", "train.steps=12"}});
  const auto step = GENERATE(1, 5, 11);
  run_recipe(recipe,
             {.shard = ranks,
              .overrides = {"output=part", "train.steps=12",
                            fmt::format("checkpoint.every={}", step), "checkpoint.keep=20"}});
  const auto resumed = run_recipe(recipe, {.shard = ranks,
                                           .overrides = {"output=part", "train.steps=12"},
                                           .resume = checkpoint_of(folder, "part", step)});
  REQUIRE(resumed.steps.size() == 12);
  for (size_t s = 0; s < whole.steps.size(); ++s) {
    INFO("step " << s + 1);
    CHECK(resumed.steps[s]["loss"] == whole.steps[s]["loss"]);
  }
  for (const auto& [name, values] : whole.parameters) {
    INFO(name);
    CHECK(values.equal(resumed.parameters.at(name)));
  }
}

TEST_CASE("resume: from 1 to 2 to 4 to 1 ranks the losses stay those of one rank",
          "[train][resume]") {
  TempDir folder;
  const auto recipe = write_omni_recipe(folder.path());
  const auto whole = run_recipe(recipe, {.overrides = {"output=whole", "train.steps=16"}});
  std::string checkpoint;
  RunOutcome last;
  const int ranks[] = {1, 2, 4, 1};
  for (int leg = 0; leg < 4; ++leg) {
    // The schedule knows the whole length; a leg ends because a clean stop is asked for at its start.
    last = run_recipe(recipe, {.shard = ranks[leg],
                               .overrides = {"output=legs", "train.steps=16", "checkpoint.every=4",
                                             "checkpoint.keep=20"},
                               .resume = checkpoint});
    checkpoint = checkpoint_of(folder, "legs", 4 * (leg + 1));
  }
  REQUIRE(last.steps.size() == 16);
  for (size_t s = 0; s < 16; ++s) {
    INFO("step " << s + 1);
    CHECK(last.steps[s]["loss"].get<double>() ==
          Approx(whole.steps[s]["loss"].get<double>()).epsilon(1e-5));
  }
}

TEST_CASE("stop: a signal ends the run after its step, with a checkpoint to continue from",
          "[train][resume]") {
  TempDir folder;
  const auto recipe = write_omni_recipe(folder.path());
  const auto stopped =
      run_recipe(recipe, {.shard = 2, .overrides = {"output=run"}, .before_run = [](Communicator&) {
                            request_stop(SIGTERM);
                          }});
  request_stop(0);
  CHECK(stopped.result.stop_signal == SIGTERM);
  CHECK(stopped.result.step == 1);
  CHECK(list_checkpoints(folder.path() / "run" / "checkpoints") == std::vector<int64_t>{1});
}

TEST_CASE("not finite: the run stops at the last good step and names the tensor", "[train]") {
  TempDir folder;
  const auto recipe = write_omni_recipe(folder.path());
  CHECK_THROWS_WITH(run_recipe(recipe, {.overrides = {"output=run", "train.optimizer.lr=1e9",
                                                      "train.optimizer.weight_decay=1e9",
                                                      "train.optimizer.clip=0",
                                                      R"(train.schedule={"type":"constant"})"}}),
                    Catch::Contains("is not finite; saved step"));
  const auto saved = list_checkpoints(folder.path() / "run" / "checkpoints");
  REQUIRE(saved.size() == 1);
  Checkpoint(folder.path() / "run" / "checkpoints" / checkpoint_name(saved[0])).verify();
}

TEST_CASE("resume: a checkpoint from before there was a bias in the choice of experts goes on",
          "[train][resume]") {
  TempDir folder;
  const auto path = write_moe_recipe(folder.path());
  run_recipe(path, {.overrides = {"output=part", "train.steps=2", "checkpoint.every=1"}});
  Json state = Checkpoint(checkpoint_of(folder, "part", 1)).state();
  for (const char* key : {"router_bias_update_rate", "router_force_balance"})
    REQUIRE(state["recipe"]["model"]["base"].erase(key) == 1);
  const std::vector<float> one(1);
  const auto old = folder.path() / "old";
  write_checkpoint_shard(old, 1, 0, {{"w", "F32", {1}, 0, 1, const_cast<float*>(one.data())}});
  finish_checkpoint(old, 1, 1, state, 9);
  const Checkpoint saved(old / checkpoint_name(1));
  CHECK_NOTHROW(check_resume(read_recipe(path, {"output=part"}), saved));
  CHECK_THROWS_WITH(
      check_resume(read_recipe(path, {"output=part", "model.base.router_force_balance=true"}),
                   saved),
      Catch::Contains("model differs"));
}
