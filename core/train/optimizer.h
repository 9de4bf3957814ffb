#pragma once
// Updates what a rank holds: shards of units, and touched rows of tables.

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/recipe/recipe.h"
#include "core/train/model.h"
#include "core/train/update.h"

namespace veomni {

class Optimizer {
 public:
  Optimizer(const OptimizerConfig& config, Model& model, const FlatMath& math);

  /// One update, the `step`-th (1-based), with gradients multiplied by `gradient_scale` first. Units that no rank used in
  /// this step are left alone; so are rows of tables that were not touched.
  void update(double lr, int64_t step, double gradient_scale);

  /// A state tensor of the same flat layout as shard `i`'s master; names as they appear in checkpoints.
  struct State {
    std::string name;  ///< exp_avg, exp_avg_sq (adamw) or momentum (sgd with momentum)
    at::Tensor values;
  };
  std::vector<State>& states(size_t shard) { return states_[shard]; }

 private:
  void update_range(Shard& shard, size_t index, int64_t begin, int64_t end, double weight_decay);

  OptimizerConfig config_;
  Model& model_;
  const FlatMath& math_;
  std::vector<std::vector<State>> states_;
  double lr_ = 0, scale_ = 1;
  int64_t step_ = 0;
};

}  // namespace veomni
