#include "core/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace veomni {

double learning_rate(const ScheduleConfig& schedule, double lr, int64_t step, int64_t steps) {
  if (step <= schedule.warmup)
    return lr * static_cast<double>(step) / static_cast<double>(schedule.warmup);
  if (schedule.type == "constant") return lr;
  const bool wsd = schedule.type == "wsd";
  const int64_t start = wsd ? std::max(schedule.warmup, steps - schedule.decay) : schedule.warmup;
  if (step <= start) return lr;
  const double done = std::min(1.0, static_cast<double>(step - start) /
                                        static_cast<double>(std::max<int64_t>(1, steps - start)));
  const double left =
      schedule.type == "cosine" ? 0.5 * (1 + std::cos(std::numbers::pi * done)) : 1 - done;
  return lr * (schedule.final + (1 - schedule.final) * left);
}

Rates learning_rates(const TrainConfig& train, int64_t step, int64_t steps) {
  Rates rates{.own = learning_rate(train.schedule, train.optimizer.lr, step, steps)};
  for (const GroupConfig& group : train.groups)
    rates.groups.push_back(group.lr ? learning_rate(train.schedule, *group.lr, step, steps)
                                    : rates.own);
  return rates;
}

}  // namespace veomni
