#pragma once
// What report.html shows, drawn from the files of a run directory: curves thinned to what a screen
// can show.

#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"

namespace veomni {

/// Points (step, value); a value that is not finite breaks the line.
struct Curve {
  std::vector<double> steps, values;
  void add(double step, double value) {
    steps.push_back(step);
    values.push_back(value);
  }
  bool empty() const { return steps.empty(); }
};

/// One line of a chart. `raw` may be empty.
struct Series {
  std::string name;
  Curve raw = {}, smooth = {};
  bool points_only = false;  ///< evaluations: `raw` as dots joined by a thin line
};

struct Chart {
  std::string title, unit = {};
  bool shares = false;  ///< series are stacked percentages that sum to 100
  std::vector<Series> series = {};
};

struct EvaluationRow {
  std::string source, metric;
  double final_value = 0, best_value = 0;
  int64_t final_step = 0, best_step = 0;
  bool has_best = false;  ///< false where neither more nor less is better
};

struct ReportData {
  std::string name;
  Json recipe, plan;  ///< null when the file does not exist
  Json last_step;     ///< metrics of the last step
  Json expert_loads;  ///< "router" of the last step that has each expert's load, else null
  int64_t expert_step = 0;
  Json comm_units;  ///< of the step that has it, else null
  int64_t steps = 0;
  double training_seconds = 0, tokens = 0, median_tokens_per_second = 0, peak_memory_bytes = 0;
  std::vector<Chart> charts;
  std::vector<EvaluationRow> evaluation;
  std::vector<Json> samples;  ///< {step, title, text}
};

/// At most `limit` points: of each stretch of the curve its least and greatest value, in order.
Curve thinned(const Curve& curve, size_t limit);

/// Two-sided exponential average: each point weighs (1 - 2 / (window + 1))^distance, so that the
/// line does not lag behind the curve. Values that are not finite take no part and stay gaps.
Curve smoothed(const Curve& curve, double window);

/// Throws ConfigError naming file and line when one of the files is damaged.
ReportData read_report_data(const std::filesystem::path& run);

}  // namespace veomni
