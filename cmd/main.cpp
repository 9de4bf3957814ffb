// The front: no LibTorch, so that help, validate and schema answer at once. Verbs that compute load
// the engine.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cmd/command_line.h"
#include "core/error.h"
#include "core/exit_status.h"
#include "modalities/all.h"

namespace {

/// One line on standard error; ranks other than 0 say who they are.
int fail(const std::exception& error) {
  const int code = veomni::exit_code_of(error);
  if (!veomni::report_exit_code(code)) return code;  // another rank has told what went wrong
  const int rank = veomni::launched_rank();
  fmt::print(stderr, "{}{}\n", rank > 0 ? fmt::format("rank {}: ", rank) : "", error.what());
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    veomni::register_specs();
    CLI::App app("trains models of any modality, from a laptop to a cluster", "veomni");
    const int code = veomni::read_command_line(app, argc, argv)();
    // What was printed may still fail to arrive, for example on a full disk.
    veomni::require<veomni::Error>(std::fflush(stdout) == 0, "standard output: cannot be written");
    return code;
  } catch (const std::exception& error) {
    return fail(error);
  }
}
