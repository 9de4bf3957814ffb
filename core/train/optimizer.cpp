#include "core/train/optimizer.h"

#include <ATen/ATen.h>

#include "core/train/page_tensor.h"

namespace veomni {

Optimizer::Optimizer(const TrainConfig& config, Model& model, const FlatMath& math)
    : config_(config.optimizer), groups_(config.groups), model_(model), math_(math) {
  for (auto* shard : model.shards()) {
    auto& states = states_.emplace_back();
    if (config_.type == "adamw") {
      states.push_back({"exp_avg", zeros_of_size(shard->gradient)});
      states.push_back({"exp_avg_sq", zeros_of_size(shard->gradient)});
    } else if (config_.momentum > 0) {
      states.push_back({"momentum", zeros_of_size(shard->gradient)});
    }
  }
}

double Optimizer::weight_decay(int group, bool decays) const {
  if (!decays) return 0;
  if (group == kNoGroup) return config_.weight_decay;
  return groups_[static_cast<size_t>(group)].weight_decay.value_or(config_.weight_decay);
}

/// Slices are sorted by group and decay: few stretches, which take the padding between them along.
std::vector<Optimizer::Stretch> Optimizer::stretches(const Shard& shard) const {
  std::vector<Stretch> found;
  for (const auto& slice : shard.slices) {
    if (!shard.trains(slice)) break;
    const bool decays = slice.decay || config_.decay_all;
    const int64_t begin = found.empty() ? 0 : found.back().end;
    if (found.empty() || found.back().group != slice.group || found.back().decays != decays)
      found.push_back({.begin = begin, .group = slice.group, .decays = decays});
    found.back().end = slice.offset + slice.end - slice.begin;
  }
  if (!found.empty()) found.back().end = shard.gradient.numel();
  return found;
}

void Optimizer::update_range(Shard& shard, std::vector<State>& states, const Stretch& stretch,
                             double lr) {
  const int64_t begin = stretch.begin, count = stretch.end - stretch.begin;
  const double decay = weight_decay(stretch.group, stretch.decays);
  auto master = shard.master.narrow(0, begin, count);
  const auto gradient = shard.gradient.narrow(0, begin, count);
  if (config_.type == "adamw") {
    auto exp_avg = states[0].values.narrow(0, begin, count);
    auto exp_avg_sq = states[1].values.narrow(0, begin, count);
    math_.adamw(master, gradient, exp_avg, exp_avg_sq,
                {lr, config_.beta1, config_.beta2, config_.eps, decay, step_, scale_});
    return;
  }
  auto direction = gradient * scale_ + master * decay;
  if (!states.empty()) {
    auto momentum = states[0].values.narrow(0, begin, count);
    momentum.mul_(config_.momentum).add_(direction);
    direction = momentum;
  }
  master.sub_(direction, lr);
}

void Optimizer::update_table(SparseParameters& table, const Rates& rates) const {
  const int group = group_of(groups_, table.name());
  const double lr = rates.of(group);
  if (config_.type == "adamw") {
    table.adamw({lr, config_.beta1, config_.beta2, config_.eps,
                 weight_decay(group, config_.decay_all), step_, scale_});
  } else {
    table.sgd(lr, scale_);
  }
}

void Optimizer::update(const Rates& rates, int64_t step, double gradient_scale) {
  step_ = step;
  scale_ = gradient_scale;
  const auto shards = model_.shards();
  for (size_t i = 0; i < shards.size(); ++i) {
    if (!shards[i]->used) continue;
    for (const Stretch& stretch : stretches(*shards[i]))
      update_range(*shards[i], states_[i], stretch, rates.of(stretch.group));
  }
  for (auto* table : model_.tables()) {
    if (!table->frozen()) update_table(*table, rates);
  }
}

}  // namespace veomni
