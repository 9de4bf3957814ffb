#pragma once
// Exit codes (design: section 4), and how a rank tells its own to the `--ranks` parent: mpirun
// returns only one code, and not always that of the rank that failed first.

#include <exception>
#include <string>

namespace veomni {

enum ExitCode : int {
  kDone = 0,
  kUnexpected = 1,     ///< a bug, or something the machine refused
  kUserError = 2,      ///< recipe, data, arguments, checkpoint
  kPeerFailed = 3,     ///< a peer or a collective failed
  kDeviceFailed = 4,   ///< the device refused
  kInterrupted = 130,  ///< SIGINT, after saving
  kTerminated = 143,   ///< SIGTERM or SIGUSR1, after saving
};

/// The code that an exception ends the program with.
int exit_code_of(const std::exception& error);

/// Appends `rank code` to the file that VEOMNI_STATUS_FILE names (nothing without it); call it
/// once, before exit. Returns whether no rank has reported a failure before: when several ranks
/// meet the same error at once, only the one that gets true should print it. Always true without
/// the file. Never throws.
bool report_exit_code(int code);

/// The first failing code in such a file's text; kDone when there is none.
int first_failure(const std::string& reports);

/// Rank and size as mpirun tells them before MPI starts; 0 and 1 without mpirun.
int launched_rank();
int launched_size();

}  // namespace veomni
