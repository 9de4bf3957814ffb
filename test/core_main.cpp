// Runs every test with one backward thread: autograd then stays on the calling (rank) thread. Cases of a GPU ([gpu]) run when
// asked for; without one they are reported as skipped (exit code 77).
#define CATCH_CONFIG_RUNNER
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>

#include "parallel/device.h"

int main(int argc, char* argv[]) {
  c10::AutogradState::get_tls_state().set_multithreading_enabled(false);
  Catch::Session session;
  if (const int code = session.applyCommandLine(argc, argv)) return code;
  const auto& wanted = session.configData().testsOrTags;
  const bool gpu = std::any_of(wanted.begin(), wanted.end(), [](const std::string& filter) {
    return filter.find("[gpu]") != std::string::npos;
  });
  if (gpu && veomni::find_gpus().gpus.empty()) {
    std::puts("SKIPPED: no GPU");
    return 77;
  }
  // LibTorch remembers what it found when it was first asked about CUDA, and runs on the CPU ask.
  if (gpu) veomni::open_device({.wanted = "cuda"});
  return session.run();
}
