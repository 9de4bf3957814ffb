#pragma once
// The terms of the objective, and their sum for one micro-batch.

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/recipe/recipe.h"
#include "core/train/model.h"

namespace veomni {

/// Decoders, heads, then router_balance and router_z of MoE models, with the recipe's weights.
std::vector<LossTerm> loss_terms(const Recipe& recipe);

/// How many terms train.task_weights = uncertainty gives a learned weight; 0 when weights are fixed.
int64_t learned_terms(const std::vector<LossTerm>& terms);

/// Adds up Σ weight · sum / max(1, count). With learned weights a term is exp(−s)·weight·loss + s/2, s = log σ² of the
/// task (Kendall, Gal & Cipolla 2018, arXiv:1705.07115, with the factor ½ of regression left out).
class Objective {
 public:
  /// log_variances [learned terms] f32 with gradient, or undefined.
  Objective(const std::vector<LossTerm>& terms, const ForwardOptions& options,
            const at::Tensor& log_variances, at::Device device);

  bool training() const { return options_.train; }
  /// weight / max(1, count): what one unit of this term's summed loss adds to the objective (before learned weights).
  double scale(const std::string& term) const;

  /// A term whose scaled sum exists already; `losses` [n] are its parts, for the report.
  void add_scaled(const std::string& term, const at::Tensor& scaled, const at::Tensor& losses);
  /// A term as one loss a target, [n] f32.
  void add_losses(const std::string& term, const at::Tensor& losses);
  /// A summed term with its own count (tokens of the step).
  void add(const std::string& term, const at::Tensor& sum, double count);
  /// Makes `value` part of the graph with weight 0: its part then runs backward on this rank as on the others.
  void touch(const at::Tensor& value);

  /// [] f32. `hidden` joins with weight 0, so that the base model always runs backward; undefined where it does anyway.
  at::Tensor total(const at::Tensor& hidden);
  at::Tensor sums() const { return sums_; }

 private:
  size_t index(const std::string& term) const;
  void add_to_total(size_t term, at::Tensor scaled);

  const std::vector<LossTerm>& terms_;
  const ForwardOptions& options_;
  at::Tensor log_variances_, total_, sums_;
};

}  // namespace veomni
