#pragma once
// Runs the heads of a recipe on the readout tokens of a batch.

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "modalities/head.h"
#include "modalities/loss_terms.h"

namespace veomni {

class TaskHeads {
 public:
  explicit TaskHeads(BuildContext& context);

  std::vector<Unit*> units();
  /// Sets `used` of the heads in `use` and of the parents they read.
  void mark_used(const PartUse& use);
  /// hidden [T, D] after the final norm. Adds each head's losses, and in evaluation its scores.
  void run(const at::Tensor& hidden, const Batch& batch, const Pass& pass, Objective& objective,
           Output& out, const PartUse& use);

 private:
  /// Raw outputs of one head: for its own targets, and for those of each child that reads it.
  struct Raw {
    at::Tensor own;
    std::vector<at::Tensor> for_child;  ///< by head index
  };
  std::vector<bool> to_run(const PartUse& use) const;
  Raw raw_outputs(size_t head, const std::vector<at::Tensor>& rows, const PartUse& use);

  const Recipe& recipe_;
  std::vector<std::unique_ptr<Head>> heads_;
  std::vector<int64_t> parents_;  ///< index of the `given` head, or -1
};

}  // namespace veomni
