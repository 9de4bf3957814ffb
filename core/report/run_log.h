#pragma once
// Everything a run tells: terminal, metrics.jsonl, TensorBoard, report.html. Rank 0 only. No
// LibTorch.

#include <filesystem>
#include <memory>
#include <string>

#include "core/json.h"

namespace veomni {

/// What standard output and standard error get; the files are written in any case.
enum class Show {
  people,   ///< text on standard output
  json,     ///< standard output gets JSON lines; people's text goes to standard error
  nothing,  ///< for tests
};

struct RunLogSettings {
  std::filesystem::path run;  ///< run directory
  int64_t first_step = 0;  ///< on resume: lines of later steps are dropped from metrics.jsonl first
  int64_t last_step = 0;   ///< for the ETA
  Show show = Show::people;
};

class RunLog {
 public:
  explicit RunLog(const RunLogSettings& settings);
  ~RunLog();
  /// One object a step with the keys of design section 6 (step, loss, losses{…}, grad_norm, lr,
  /// tokens, …). On a terminal the progress line is redrawn (at most 10 times a second); else one
  /// line every few seconds.
  void step(const Json& metrics);
  /// {"step": …, "eval": {source: {metric: value}}}
  void evaluation(const Json& metrics);
  /// A generated text, printed and kept for the report.
  void sample(int64_t step, const std::string& title, const std::string& text);
  /// A line for people.
  void note(const std::string& line);
  /// Flushes and writes report.html from the run directory's files.
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes report.html (self-contained, no network) from recipe.json, plan.json, metrics.jsonl,
/// samples.jsonl in `run`.
void write_report(const std::filesystem::path& run);

}  // namespace veomni
