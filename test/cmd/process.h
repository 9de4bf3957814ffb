#pragma once
// Runs a program and collects what it prints.

#include <string>
#include <vector>

namespace veomni::test {

struct Finished {
  int code = -1;  ///< exit code; 128 + signal when killed
  std::string out, err;
  double cpu_ms = 0;  ///< user and system time
};

/// Runs without a shell; `environment` entries are NAME=value, added to this process's.
Finished run_program(const std::vector<std::string>& command,
                     const std::vector<std::string>& environment = {});

}  // namespace veomni::test
