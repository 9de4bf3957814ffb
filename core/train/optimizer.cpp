#include "core/train/optimizer.h"

#include <ATen/ATen.h>

#include "core/train/page_tensor.h"

namespace veomni {

Optimizer::Optimizer(const OptimizerConfig& config, Model& model, const FlatMath& math)
    : config_(config), model_(model), math_(math) {
  for (auto* shard : model.shards()) {
    auto& states = states_.emplace_back();
    if (config.type == "adamw") {
      states.push_back({"exp_avg", zeros_of_size(shard->master)});
      states.push_back({"exp_avg_sq", zeros_of_size(shard->master)});
    } else if (config.momentum > 0) {
      states.push_back({"momentum", zeros_of_size(shard->master)});
    }
  }
}

void Optimizer::update_range(Shard& shard, size_t index, int64_t begin, int64_t end,
                             double weight_decay) {
  if (begin >= end) return;
  auto master = shard.master.narrow(0, begin, end - begin);
  const auto gradient = shard.gradient.narrow(0, begin, end - begin);
  auto& states = states_[index];
  if (config_.type == "adamw") {
    auto exp_avg = states[0].values.narrow(0, begin, end - begin);
    auto exp_avg_sq = states[1].values.narrow(0, begin, end - begin);
    math_.adamw(master, gradient, exp_avg, exp_avg_sq,
                {lr_, config_.beta1, config_.beta2, config_.eps, weight_decay, step_, scale_});
    return;
  }
  auto direction = gradient * scale_ + master * weight_decay;
  if (!states.empty()) {
    auto momentum = states[0].values.narrow(0, begin, end - begin);
    momentum.mul_(config_.momentum).add_(direction);
    direction = momentum;
  }
  master.sub_(direction, lr_);
}

void Optimizer::update(double lr, int64_t step, double gradient_scale) {
  lr_ = lr;
  step_ = step;
  scale_ = gradient_scale;
  const auto shards = model_.shards();
  for (size_t i = 0; i < shards.size(); ++i) {
    auto& shard = *shards[i];
    if (!shard.used) continue;
    const int64_t size = shard.master.size(0);
    int64_t split = 0;  // decayed parameters come first
    for (const auto& slice : shard.slices) {
      if (slice.decay || config_.decay_all)
        split = std::max(split, slice.offset + slice.end - slice.begin);
    }
    update_range(shard, i, 0, split, config_.weight_decay);
    update_range(shard, i, split, size, 0);
  }
  for (auto* table : model_.tables()) {
    if (config_.type == "adamw") {
      table->adamw({lr, config_.beta1, config_.beta2, config_.eps,
                    config_.decay_all ? config_.weight_decay : 0, step, gradient_scale});
    } else {
      table->sgd(lr, gradient_scale);
    }
  }
}

}  // namespace veomni
