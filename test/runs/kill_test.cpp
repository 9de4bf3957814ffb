// Trainings that are killed at any moment, also while they save, and go on with --resume auto.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <map>
#include <random>
#include <thread>

#include "core/checkpoint/checkpoint.h"
#include "runs/runs.h"
#include "support/tiny_recipes.h"

using namespace veomni;
using namespace veomni::test;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

/// When to kill: so long after the start, or after a save was seen for the `saves`-th time.
struct Moment {
  int saves = 0;  ///< 0: counted from the start
  std::chrono::microseconds delay{};
  unsigned victim = 0;  ///< of several ranks
};

Moment draw_moment(std::mt19937& random, int number) {
  const auto below = [&](int64_t end) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(end));
  };
  Moment moment;
  const bool saving = number % 2 == 0;
  moment.saves = saving ? 1 + static_cast<int>(below(6)) : 0;
  moment.delay = std::chrono::microseconds(saving ? below(4'000) : below(800'000));
  moment.victim = static_cast<unsigned>(random());
  return moment;
}

bool saving(const fs::path& checkpoints) {
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(checkpoints, absent)) {
    if (entry.path().filename().string().ends_with(".partial")) return true;
  }
  return false;
}

/// One run directory, trained on by one process after another.
class Run {
 public:
  Run(std::string recipe, fs::path output, int ranks)
      : recipe_(std::move(recipe)), output_(std::move(output)), ranks_(ranks) {}

  std::vector<std::string> command(int64_t steps) const {
    return veomni_command(
        {"train", recipe_, "--resume", "auto", fmt::format("train.steps={}", steps),
         R"(train.schedule={"type":"constant"})", "train.packs=2", "checkpoint.every=3",
         "output=" + output_.string(), layout(1, ranks_)},
        ranks_ > 1 ? ranks_ : 0);
  }

  /// Starts, kills at `moment`, and looks at what is left.
  void kill_at(const Moment& moment) {
    const auto newest = newest_checkpoint();
    auto environment = rank_environment();
    environment.push_back("OMPI_MCA_odls_base_sigkill_timeout=0");  // the other rank goes at once
    Process process(command(1'000'000), environment);
    await_saves(moment.saves, process);
    std::this_thread::sleep_for(moment.delay);
    kill_rank(process, moment.victim);
    const auto finished = process.wait();
    INFO(finished.err);
    REQUIRE(finished.code == 128 + SIGKILL);
    check_start(finished.out, newest);
    check_left(newest);
  }

  void finish(int64_t steps) {
    const auto newest = newest_checkpoint();
    const auto finished = run_program(command(steps), rank_environment());
    INFO(finished.err);
    REQUIRE(finished.code == 0);
    check_start(finished.out, newest);
    check_left(newest);
  }

  const std::map<int64_t, std::string>& losses() const { return losses_; }
  int64_t newest_checkpoint() const {
    const auto steps = list_checkpoints(output_ / "checkpoints");
    return steps.empty() ? 0 : steps.back();
  }

 private:
  void await_saves(int saves, const Process& process) const {
    bool before = true;  // what a killed process left does not count
    while (saves > 0) {
      REQUIRE_FALSE(process.ended());
      const bool now = saving(output_ / "checkpoints");
      if (now && !before) --saves;
      before = now;
      std::this_thread::sleep_for(100us);
    }
  }

  void kill_rank(const Process& process, unsigned victim) const {
    if (ranks_ == 1) {
      kill(process.id(), SIGKILL);
      return;
    }
    auto ranks = process.children();
    for (; ranks.size() < static_cast<size_t>(ranks_); ranks = process.children()) {
      REQUIRE_FALSE(process.ended());
      std::this_thread::sleep_for(1ms);
    }
    kill(ranks[victim % ranks.size()], SIGKILL);
  }

  /// A process that came as far as to say so continued from the newest checkpoint.
  void check_start(const std::string& out, int64_t newest) const {
    const auto resumed = out.find("resumed from ");
    if (resumed == std::string::npos) return;
    const auto line = out.substr(resumed, out.find('\n', resumed) - resumed);
    CHECK_THAT(line, Catch::EndsWith("/" + checkpoint_name(newest)));
  }

  /// Every visible checkpoint is whole, none got lost, and a step has one loss whoever computed it.
  void check_left(int64_t newest) {
    const auto checkpoints = output_ / "checkpoints";
    for (const auto step : list_checkpoints(checkpoints)) {
      REQUIRE_NOTHROW(Checkpoint(checkpoints / checkpoint_name(step)).verify());
    }
    REQUIRE(newest_checkpoint() >= newest);
    for (const auto& line : step_lines(output_)) {
      const auto [known, added] = losses_.try_emplace(line["step"], line["loss"].dump());
      CHECK(known->second == line["loss"].dump());
    }
  }

  std::string recipe_;
  fs::path output_;
  int ranks_;
  std::map<int64_t, std::string> losses_;  ///< by step, of all processes
};

/// Kills `kills` times, lets the run end, and compares it with one that nobody disturbed.
void check_kills(int ranks, int kills, unsigned seed) {
  const TempDir folder(fast_directory());
  const auto recipe = write_omni_recipe(folder.path());
  Run disturbed(recipe, folder / "disturbed", ranks), whole(recipe, folder / "whole", ranks);
  std::mt19937 random(seed);
  for (int i = 0; i < kills; ++i) {
    INFO("kill " << i << " of " << ranks << " ranks");
    disturbed.kill_at(draw_moment(random, i));
  }
  const int64_t last = disturbed.newest_checkpoint() + 5;
  disturbed.finish(last);
  whole.finish(std::max(last, disturbed.losses().rbegin()->first));
  CHECK(disturbed.losses() == whole.losses());
}

}  // namespace

TEST_CASE("kill -9: at any moment, --resume auto continues from a whole checkpoint to the bit",
          "[runs][resume]") {
  check_kills(1, 24, 1);
}

TEST_CASE("kill -9: of one rank of two, --resume auto continues as well", "[runs][resume]") {
  check_kills(2, 6, 2);
}
