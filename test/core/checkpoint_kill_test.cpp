// Processes killed while they save, and disks that refuse.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <random>

#include "core/checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/log.h"
#include "test/core/checkpoint_files.h"

using namespace veomni;
using namespace veomni_test;
namespace fs = std::filesystem;

namespace {

constexpr int64_t kCount = 20'000;

void save(const fs::path& checkpoints, int64_t step, int64_t keep) {
  std::vector<float> values(kCount, static_cast<float>(step));
  for (int rank : {0, 1}) {
    const int64_t begin = rank * kCount / 2, end = begin + kCount / 2;
    write_checkpoint_shard(checkpoints, step, rank,
                           {{.name = "w",
                             .shape = {kCount},
                             .begin = begin,
                             .end = end,
                             .data = values.data() + begin}});
  }
  finish_checkpoint(checkpoints, step, 2, {{"step", step}}, keep);
}

/// All visible checkpoints are whole and say what was written at their step.
void check_all(const fs::path& checkpoints) {
  for (const int64_t step : list_checkpoints(checkpoints)) {
    const Checkpoint checkpoint(checkpoints / checkpoint_name(step));
    REQUIRE_NOTHROW(checkpoint.verify());
    REQUIRE(checkpoint.state().at("step") == step);
    std::vector<float> values(kCount);
    checkpoint.read(
        {.name = "w", .shape = {kCount}, .begin = 0, .end = kCount, .data = values.data()});
    REQUIRE(values == std::vector<float>(kCount, static_cast<float>(step)));
  }
}

/// Runs `body` in a child process; its exit code, or 128 + the signal that ended it.
template <class Body>
int in_child(const Body& body, useconds_t kill_after_us) {
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 1;
    try {
      code = body();
    } catch (...) {
      code = 99;
    }
    ::_exit(code);
  }
  if (kill_after_us > 0) {
    ::usleep(kill_after_us);
    ::kill(child, SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("checkpoint: killed at any moment of saving, only whole checkpoints are visible",
          "[core][checkpoint]") {
  TemporaryDirectory directory(
      fast_directory());  // more saves in less time: more moments to be killed at
  const auto checkpoints = directory.path();
  std::mt19937 random(20);
  std::uniform_int_distribution<useconds_t> moment(200, 20'000);
  int64_t newest = 0;
  for (int round = 0; round < 40; ++round) {
    // Every third child writes over the step it found, so replacing is interrupted as well.
    const int64_t first = round % 3 == 2 && newest > 0 ? newest : newest + 1;
    const int code = in_child(
        [&] {
          for (int64_t step = first;; ++step) save(checkpoints, step, 2);
          return 0;
        },
        moment(random));
    REQUIRE(code == 128 + SIGKILL);
    check_all(checkpoints);
    const auto steps = list_checkpoints(checkpoints);
    REQUIRE((steps.empty() ? 0 : steps.back()) >= newest);
    REQUIRE(steps.size() <= 3);  // two, and one that was about to go
    if (!steps.empty()) newest = steps.back();
  }
  CHECK(newest > 40);
  save(checkpoints, newest + 1, 2);
  CHECK(list_checkpoints(checkpoints).size() == 2);
  for (const auto& entry : fs::directory_iterator(checkpoints)) {
    CHECK(entry.path().filename().string().starts_with("step-"));
  }
}

TEST_CASE("checkpoint: a disk that takes no more is one clear error, older checkpoints stay",
          "[core][checkpoint]") {
  TemporaryDirectory directory;
  const auto checkpoints = directory.path();
  save(checkpoints, 1, 2);
  const int code = in_child(
      [&] {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{30'000, 30'000};  // less than a shard takes
        ::setrlimit(RLIMIT_FSIZE, &limit);
        const auto message = message_of<ConfigError>([&] { save(checkpoints, 2, 2); });
        return message.find(
                   "shard-00000.safetensors: cannot write: File too large; the file size limit") !=
                       std::string::npos
                   ? 0
                   : 1;
      },
      0);
  CHECK(code == 0);
  CHECK(list_checkpoints(checkpoints) == std::vector<int64_t>{1});
  check_all(checkpoints);
  save(checkpoints, 2, 2);
  check_all(checkpoints);
}

TEST_CASE("checkpoint: a place that cannot be written is one clear error", "[core][checkpoint]") {
  TemporaryDirectory directory;
  spit(directory / "file", "");
  float x = 1;
  const auto message = message_of<ConfigError>([&] {
    write_checkpoint_shard(directory / "file", 1, 0,
                           {{.name = "w", .shape = {}, .begin = 0, .end = 1, .data = &x}});
  });
  CHECK_THAT(message, Catch::Matchers::Contains((directory / "file").string()) &&
                          Catch::Matchers::Contains("Not a directory"));
}
