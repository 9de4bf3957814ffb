#pragma once
// Programs as a user starts them: without a shell, their output in files.

#include <sys/types.h>

#include <string>
#include <vector>

#include "support/temp_dir.h"

namespace veomni::test {

struct Finished {
  int code = -1;  ///< exit code; 128 + signal when killed
  std::string out, err;
  double cpu_ms = 0;  ///< user and system time
};

/// A program in the background; killed when the object goes before the program does.
class Process {
 public:
  /// `environment` entries are NAME=value, added to this process's.
  explicit Process(const std::vector<std::string>& command,
                   const std::vector<std::string>& environment = {});
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  pid_t id() const { return id_; }
  std::string out() const;  ///< what it has written so far
  std::vector<pid_t> children() const;
  bool ended() const;
  Finished wait();

 private:
  TempDir folder_;
  pid_t id_ = -1;
  bool waited_ = false;
};

/// Runs to the end.
Finished run_program(const std::vector<std::string>& command,
                     const std::vector<std::string>& environment = {});

}  // namespace veomni::test
