#pragma once
// `--ranks N`: this process becomes the parent of mpirun, which starts N copies of the program.

#include <string>
#include <vector>

#include "core/json.h"

namespace veomni {

/// Cores this process may run on; hardware threads of one core count once.
int core_count();

/// The command that starts `program rank_arguments…` on `ranks` ranks. `cores` decides binding and
/// threads a rank.
std::vector<std::string> mpirun_command(int ranks, int cores,
                                        const std::vector<std::string>& program);

/// Runs `request` (see run_engine) on N ranks and returns the documented exit code: that of the
/// rank that failed first, 130 or 143 after SIGINT or SIGTERM. These signals reach the ranks as
/// SIGUSR1, which asks them to save and stop with all the time they need; a second signal ends them
/// within about a second.
int run_ranks(int ranks, const Json& request);

}  // namespace veomni
