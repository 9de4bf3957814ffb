#pragma once
// Updates what a rank holds: shards of units, and touched rows of tables.

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/recipe/recipe.h"
#include "core/train/model.h"
#include "core/train/schedule.h"
#include "core/train/update.h"

namespace veomni {

class Optimizer {
 public:
  Optimizer(const TrainConfig& config, Model& model, const FlatMath& math);

  /// One update, the `step`-th (1-based), with gradients multiplied by `gradient_scale` first. Units that no rank used in
  /// this step are left alone; so are rows of tables that were not touched, and all that is frozen.
  void update(const Rates& rates, int64_t step, double gradient_scale);

  /// A state tensor of the same flat layout as shard `i`'s gradient; names as they appear in checkpoints.
  struct State {
    std::string name;  ///< exp_avg, exp_avg_sq (adamw) or momentum (sgd with momentum)
    at::Tensor values;
  };
  std::vector<State>& states(size_t shard) { return states_[shard]; }
  /// Whether exp_avg and exp_avg_sq of tables are in use.
  bool has_table_state() const { return config_.type == "adamw"; }

 private:
  /// Elements of a shard that are updated alike.
  struct Stretch {
    int64_t begin = 0, end = 0;
    int group = kNoGroup;
    bool decays = false;
  };
  std::vector<Stretch> stretches(const Shard& shard) const;
  double weight_decay(int group, bool decays) const;
  void update_range(Shard& shard, std::vector<State>& states, const Stretch& stretch, double lr);
  void update_table(SparseParameters& table, const Rates& rates) const;

  OptimizerConfig config_;
  std::vector<GroupConfig> groups_;
  Model& model_;
  const FlatMath& math_;
  std::vector<std::vector<State>> states_;
  double scale_ = 1;
  int64_t step_ = 0;
};

}  // namespace veomni
