#include "cmd/engine/run_directory.h"

#include <fstream>

#include "core/checkpoint/checkpoint.h"
#include "core/error.h"

namespace veomni {
namespace fs = std::filesystem;
namespace {

constexpr const char* kRunFiles[] = {"recipe.json", "plan.json",  "metrics.jsonl", "samples.jsonl",
                                     "report.html", "trace.json", "checkpoints",   "tensorboard"};

bool holds_run(const fs::path& run) {
  return fs::exists(run / "metrics.jsonl") || !list_checkpoints(run / "checkpoints").empty();
}

void write_text(const fs::path& path, const std::string& text) {
  const fs::path partial = path.string() + ".partial";
  std::ofstream file(partial, std::ios::binary);
  file << text;
  file.close();
  require<ConfigError>(file.good(), "{}: cannot be written; check space and permissions",
                       path.string());
  fs::rename(partial, path);
}

}  // namespace

StartPoint enter_run(const Recipe& recipe, const std::string& resume, bool overwrite) {
  const fs::path run = recipe.output;
  std::error_code problem;
  fs::create_directories(run, problem);
  require<ConfigError>(!problem, "output: {} cannot be made: {}; choose another directory",
                       run.string(), problem.message());
  if (!resume.empty()) {
    auto found = find_checkpoint(run, resume);
    if (found || resume != "auto" || !holds_run(run)) return found;
    overwrite = true;  // killed before its first checkpoint: `auto` starts again from step 0
  }
  if (!holds_run(run)) return {};
  require<ConfigError>(overwrite,
                       "output: {} already holds a run; continue it with --resume auto, start anew "
                       "with --overwrite, "
                       "or choose another output",
                       run.string());
  for (const char* file : kRunFiles) fs::remove_all(run / file);
  return {};
}

void describe_run(const Recipe& recipe, const Plan& plan) {
  const fs::path run = recipe.output;
  write_text(run / "recipe.json", recipe.resolved.dump(2) + "\n");
  write_text(run / "plan.json", plan_json(recipe, plan).dump(2) + "\n");
}

}  // namespace veomni
