#pragma once
// What metrics.jsonl says, one curve a quantity, and the charts made of it.

#include <string>
#include <utility>
#include <vector>

#include "core/report/report_data.h"

namespace veomni {

using NamedCurves = std::vector<std::pair<std::string, Curve>>;  ///< in order of appearance

/// A metric of a source; heads are part of the metric: "visit/auc".
struct EvaluationCurve {
  std::string source, metric;
  Curve curve = {};
};

struct History {
  NamedCurves losses;  ///< task → training loss
  std::vector<EvaluationCurve> evaluations;
  Curve loss, lr, grad_norm, speed;
  Curve data, comm, compute;  ///< seconds of each step
  Curve busiest,
      busiest_of_worst;  ///< busiest expert's load over the mean: mean of layers, and worst layer
};

/// `recipe` tells which sources train which task; null: unknown.
std::vector<Chart> make_charts(const History& history, const Json& recipe);

}  // namespace veomni
