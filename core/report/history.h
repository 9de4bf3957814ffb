#pragma once
// What metrics.jsonl says, one curve a quantity, and the charts made of it.

#include <string>
#include <utility>
#include <vector>

#include "core/report/report_data.h"

namespace veomni {

using NamedCurves = std::vector<std::pair<std::string, Curve>>;  ///< in order of appearance

struct History {
  NamedCurves losses;       ///< task → training loss
  NamedCurves evaluations;  ///< "source/metric" → value
  Curve loss, lr, grad_norm, speed;
  Curve data, comm, compute;  ///< seconds of each step
};

/// `recipe` tells which sources train which task; null: unknown.
std::vector<Chart> make_charts(const History& history, const Json& recipe);

}  // namespace veomni
