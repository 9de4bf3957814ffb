#pragma once

#include <cstdint>
#include <vector>

#include "core/recipe/recipe.h"

namespace veomni {

/// Learning rate of `step` (1-based) of `steps`: linear warm-up from lr/warmup to lr, then
///   constant  lr
///   linear    straight to final·lr at the last step
///   cosine    half a cosine to final·lr (Loshchilov & Hutter 2017, arXiv:1608.03983)
///   wsd       lr until the last `decay` steps, which go straight to final·lr (Hu et al. 2024, arXiv:2404.06395)
double learning_rate(const ScheduleConfig& schedule, double lr, int64_t step, int64_t steps);

/// The learning rates of one step: the optimizer's, and those of train.groups, which follow the same shape.
struct Rates {
  double own = 0;
  std::vector<double> groups = {};  ///< of groups without lr: own
  double of(int group) const { return group < 0 ? own : groups[static_cast<size_t>(group)]; }
};
Rates learning_rates(const TrainConfig& train, int64_t step, int64_t steps);

}  // namespace veomni
