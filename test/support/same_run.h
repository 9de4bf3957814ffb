#pragma once
// Two runs compared, step by step and parameter by parameter.

#include <catch2/catch.hpp>

#include "support/tiny_run.h"

namespace veomni::test {

/// A number of each step's metrics, relative to `want`'s.
inline void check_steps(const RunOutcome& got, const RunOutcome& want, const char* key,
                        double tolerance) {
  REQUIRE(got.steps.size() == want.steps.size());
  for (size_t s = 0; s < want.steps.size(); ++s) {
    INFO("step " << s + 1);
    CHECK(got.steps[s]["tokens"] == want.steps[s]["tokens"]);
    CHECK(got.steps[s][key].get<double>() ==
          Approx(want.steps[s][key].get<double>()).epsilon(tolerance));
  }
}

/// The first step's, in relative L2 norm.
inline void check_gradients(const RunOutcome& got, const RunOutcome& want, double tolerance) {
  for (const auto& [name, gradient] : want.gradients) {
    INFO(name);
    CHECK(relative_difference(got.gradients.at(name), gradient) < tolerance);
  }
}

/// The loss of every source.
inline void check_evaluation(const RunOutcome& got, const RunOutcome& want, double tolerance) {
  for (const auto& [source, metrics] : want.evaluation.items()) {
    INFO(source);
    CHECK(got.evaluation[source]["loss"].get<double>() ==
          Approx(metrics["loss"].get<double>()).epsilon(tolerance));
  }
}

}  // namespace veomni::test
