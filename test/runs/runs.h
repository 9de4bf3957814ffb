#pragma once
// The program itself, trained on small recipes: alone, under mpirun, and with --ranks.

#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"
#include "support/process.h"

namespace veomni::test {

/// The command line of `veomni arguments…`; under `mpirun -n` when `mpirun_ranks` is not 0.
std::vector<std::string> veomni_command(const std::vector<std::string>& arguments,
                                        int mpirun_ranks = 0);

/// One thread a rank, and mpirun may run as root.
const std::vector<std::string>& rank_environment();

Finished run_veomni(const std::vector<std::string>& arguments, int mpirun_ranks = 0);

/// parallel={"replicate":R,"shard":S}
std::string layout(int replicate, int shard, int sequence = 1, int expert = 1);

/// Lines of a run's metrics.jsonl that hold a step's loss.
std::vector<Json> step_lines(const std::filesystem::path& run);

/// The values of the run's last evaluation.
Json last_evaluation(const std::filesystem::path& run);

}  // namespace veomni::test
