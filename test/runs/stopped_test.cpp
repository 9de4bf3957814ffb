// A rank that is stopped or killed, under several plans: the job ends, says who, where and in which call, and leaves no process.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <regex>
#include <thread>

#include "runs/runs.h"
#include "support/tiny_recipes.h"

using namespace veomni;
using namespace veomni::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

struct Plan {
  const char* name;
  std::string layout;
  int ranks;
};

std::vector<Plan> plans() {
  return {{"shard 2", layout(1, 2), 2},
          {"replicate 2 × shard 2", layout(2, 2), 4},
          {"shard 2 × sequence 2, expert 4", layout(1, 2, 2, 4), 4}};
}

/// A training that has done a step or two.
class Job {
 public:
  Job(const fs::path& folder, const Plan& plan)
      : output_(folder / "run"), process_(command(folder, plan), rank_environment()) {
    while (!fs::exists(output_ / "metrics.jsonl") || step_lines(output_).size() < 2) {
      REQUIRE_FALSE(process_.ended());
      std::this_thread::sleep_for(5ms);
    }
    ranks_ = process_.children();
  }

  void send(size_t rank, int signal) const { kill(ranks_.at(rank), signal); }

  /// Its end, which must come by itself; long after that it counts as hanging.
  Finished end() {
    const auto deadline = Clock::now() + 60s;
    while (!process_.ended() && Clock::now() < deadline) std::this_thread::sleep_for(10ms);
    REQUIRE(process_.ended());
    return process_.wait();
  }

  /// Processes that still run some time after mpirun has ended: those it killed may need a moment to go.
  bool leaves_processes() const {
    const auto runs = [](pid_t rank) { return kill(rank, 0) == 0 && !is_dead(rank); };
    for (const auto deadline = Clock::now() + 10s; Clock::now() < deadline;
         std::this_thread::sleep_for(10ms))
      if (std::none_of(ranks_.begin(), ranks_.end(), runs)) return false;
    return true;
  }

 private:
  /// Ended, though whoever inherited it has not asked for its exit code yet.
  static bool is_dead(pid_t process) {
    std::ifstream file(fmt::format("/proc/{}/stat", process));
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    return text.find(") Z ") != std::string::npos;
  }

  static std::vector<std::string> command(const fs::path& folder, const Plan& plan) {
    return veomni_command({"train", write_moe_recipe(folder), "train.steps=1000000", "eval.every=0",
                           "train.packs=4", plan.layout, "parallel.timeout=2"},
                          plan.ranks);
  }
  fs::path output_;
  Process process_;
  std::vector<pid_t> ranks_;
};

size_t count(const std::string& text, const char* pattern) {
  const std::regex regex(pattern);
  return static_cast<size_t>(
      std::distance(std::sregex_iterator(text.begin(), text.end(), regex), {}));
}

}  // namespace

TEST_CASE("stopped: a rank that hangs ends the job after the timeout, named with its axis and call",
          "[runs][ranks]") {
  for (const Plan& plan : plans()) {
    INFO(plan.name);
    const TempDir folder;
    Job job(folder.path(), plan);
    job.send(1, SIGSTOP);
    const auto finished = job.end();
    INFO(finished.err);
    CHECK(finished.code == 3);
    CHECK(count(finished.err,
                "rank \\d: (world|dense|replicate|data|sequence|expert|expert_shard): "
                "rank \\d of \\d: [a-z_]+: timed out after 2 s; ") == 1);
    CHECK(count(finished.err, "is stopped") >= 1);
    CHECK_FALSE(job.leaves_processes());
  }
}

TEST_CASE("killed: a rank that dies ends the job at once", "[runs][ranks]") {
  for (const Plan& plan : plans()) {
    INFO(plan.name);
    const TempDir folder;
    Job job(folder.path(), plan);
    job.send(1, SIGKILL);
    const auto finished = job.end();
    INFO(finished.err);
    CHECK(finished.code == 128 + SIGKILL);
    CHECK_FALSE(job.leaves_processes());
  }
}
