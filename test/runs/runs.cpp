#include "runs/runs.h"

#include <fmt/format.h>

#include "core/report/json_lines.h"
#include "support/paths.h"

namespace veomni::test {

std::vector<std::string> veomni_command(const std::vector<std::string>& arguments,
                                        int mpirun_ranks) {
  std::vector<std::string> command;
  if (mpirun_ranks > 0) {
    command = {"mpirun", "--quiet", "--oversubscribe",           "--bind-to",
               "none",   "-n",      std::to_string(mpirun_ranks)};
  }
  command.push_back(program_path());
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

const std::vector<std::string>& rank_environment() {
  static const std::vector<std::string> environment{"OMP_NUM_THREADS=1", "OMP_WAIT_POLICY=passive",
                                                    "OMPI_ALLOW_RUN_AS_ROOT=1",
                                                    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"};
  return environment;
}

Finished run_veomni(const std::vector<std::string>& arguments, int mpirun_ranks) {
  return run_program(veomni_command(arguments, mpirun_ranks), rank_environment());
}

std::string layout(int replicate, int shard, int sequence, int expert) {
  return fmt::format(R"(parallel={{"replicate":{},"shard":{},"sequence":{},"expert":{}}})",
                     replicate, shard, sequence, expert);
}

std::vector<Json> step_lines(const std::filesystem::path& run) {
  std::vector<Json> lines;
  for (auto& line : read_json_lines(run / "metrics.jsonl")) {
    if (line.contains("loss")) lines.push_back(std::move(line));
  }
  return lines;
}

Json last_evaluation(const std::filesystem::path& run) {
  Json last;
  for (const auto& line : read_json_lines(run / "metrics.jsonl")) {
    if (line.contains("eval")) last = line.at("eval");
  }
  return last;
}

}  // namespace veomni::test
