// --ranks with a stand-in engine: a small C library beside a copy of the program, so that exit
// codes and signals are those of this file and nothing else.
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <thread>

#include "core/recipe/starter.h"
#include "support/paths.h"
#include "support/process.h"
#include "test/core/recipe_fixture.h"

using namespace veomni;

namespace {

namespace fs = std::filesystem;

constexpr const char* kEngine = R"(
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static volatile sig_atomic_t stop = 0;
static void on_signal(int s) { stop = s; }
static int finish(const char* rank, int code) {
  FILE* status = fopen(getenv("VEOMNI_STATUS_FILE"), "a");
  fprintf(status, "%s %d\n", rank, code);
  fclose(status);
  return code;
}
int veomni_engine_main(const char* request) {
  const char* rank = getenv("OMPI_COMM_WORLD_RANK");
  const char* mode = getenv("STAND_IN");
  (void)request;
  if (!rank) { printf("alone\n"); return 0; }
  signal(SIGUSR1, on_signal);
  if (strcmp(mode, "ok") == 0) { printf("threads %s\n", getenv("OMP_NUM_THREADS")); return finish(rank, 0); }
  if (strcmp(mode, "bad") == 0 && rank[0] == '1') { fprintf(stderr, "data: row 3 is bad; fix it\n"); return finish(rank, 2); }
  if (strcmp(mode, "kill") == 0 && rank[0] == '1') raise(SIGKILL);
  if (strcmp(mode, "wait") == 0) { printf("ready\n"); fflush(stdout); }
  for (int i = 0; i < 600 && !stop; ++i) usleep(50000);
  if (!stop) return finish(rank, 1);
  usleep(1500000);  /* longer than mpirun would wait after SIGTERM */
  printf("saved\n");
  fflush(stdout);
  return finish(rank, 143);
}
)";

/// A folder with a copy of the program, the stand-in engine and a valid recipe.
class Installation {
 public:
  Installation() {
    program_ = (folder_.path() / "veomni").string();
    fs::copy_file(veomni::test::program_path(), program_);
    const std::string source = folder_.write("engine.c", kEngine);
    const auto built =
        test::run_program({"cc", "-shared", "-fPIC", "-o",
                           (folder_.path() / "libveomni_engine.so").string(), source});
    if (built.code != 0) throw std::runtime_error("cc: " + built.err);
    recipe_ = folder_.write("recipe.json", starter_recipe("text"));
  }

  std::vector<std::string> command(const std::string& ranks) const {
    return {program_, "train", recipe_, "--ranks", ranks};
  }
  test::Finished run(const std::string& ranks, const std::string& mode) const {
    return test::run_program(command(ranks), {"STAND_IN=" + mode});
  }

 private:
  test::RecipeFolder folder_;
  std::string program_, recipe_;
};

/// Runs `command` in the background, sends `signals` once both ranks are ready, and returns the
/// exit code.
int run_and_signal(const Installation& installation, const std::vector<int>& signals) {
  test::Process process(installation.command("2"), {"STAND_IN=wait"});
  const auto count = [&](const std::string& word) {
    std::istringstream lines(process.out());
    int found = 0;
    for (std::string line; std::getline(lines, line);)
      found += line.find(word) != std::string::npos;
    return found;
  };
  for (int i = 0; i < 200 && count("ready") < 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  for (const int signal : signals) {
    kill(process.id(), signal);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  const int code = process.wait().code;
  if (signals.size() == 1) CHECK(count("saved") == 2);
  return code;
}

}  // namespace

TEST_CASE("ranks: codes of ranks come back as the program's", "[cmd][ranks]") {
  const Installation installation;
  const auto ok = installation.run("2", "ok");
  CHECK(ok.code == 0);
  CHECK_THAT(ok.out, Catch::Contains("threads "));
  CHECK(ok.err.empty());
  const auto alone = installation.run("1", "ok");
  CHECK(alone.code == 0);
  CHECK(alone.out == "alone\n");
  const auto bad = installation.run("2", "bad");
  CHECK(bad.code == 2);
  CHECK(bad.err == "data: row 3 is bad; fix it\n");
  const auto killed = installation.run("3", "kill");
  CHECK(killed.code == 3);
  CHECK(killed.err == "--ranks: a rank ended on signal 9 (Killed); see whether memory ran out\n");
}

TEST_CASE("ranks: a signal lets ranks save, and gives the documented code", "[cmd][ranks]") {
  const Installation installation;
  CHECK(run_and_signal(installation, {SIGTERM}) == 143);
  CHECK(run_and_signal(installation, {SIGINT}) == 130);
  CHECK(run_and_signal(installation, {SIGUSR1}) == 143);
  CHECK(run_and_signal(installation, {SIGINT, SIGINT}) == 130);
}
