#pragma once
// The base model: a row of embeddings through a stack of blocks. T tokens, D model, V vocabulary, E experts, L layers

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "core/train/batch.h"
#include "modalities/base/block.h"

namespace veomni {

/// Sums of what the MoE layers report, whole stack, one micro-batch.
struct RoutingSums {
  at::Tensor
      balance;  ///< [] f32 Σ over layers of E·Σ_i f_i·Σ_t p_ti, divided by layers; with gradient
  at::Tensor z;  ///< [] f32 Σ_t logsumexp², divided by layers; with gradient
};

class Transformer {
 public:
  /// `units`: describe_base's list without the root.
  Transformer(const BaseConfig& base, const std::vector<UnitSpec>& units, ParallelContext& context);

  /// x [T, D] → the residual stream after the last block; `sums` is filled for MoE models.
  Stream forward(const at::Tensor& x, const TokenRow& row, const Pass& pass, RoutingSums* sums);

  std::vector<Unit*> units();

  /// [L, E] f32: the fractions of choices of the last step, uniform at first (design: section 8). Undefined when dense.
  at::Tensor& expert_fractions() { return fractions_; }
  /// [L, E] f32, RouterInput::bias of each layer, 0 at first. Undefined without router_bias_update_rate.
  const at::Tensor& router_bias() const { return router_bias_; }
  /// Once a step, with the choices of all ranks, loads [L, E] f64: each bias goes by its rate towards an even load
  /// (arXiv:2408.15664, algorithm 1). A frozen router's stays, as the router does.
  void move_router_bias(const at::Tensor& loads);
  /// Choices of this step so far on this rank, [L, E] f64; finish_step sums them over ranks into the fractions.
  at::Tensor& expert_counts() { return counts_; }

 private:
  RoutingSums sum_routing(const std::vector<Routing>& routing, const TokenRow& row) const;

  BaseConfig base_;
  Blocks blocks_;
  at::Tensor fractions_, counts_, router_bias_;
  at::Tensor router_bias_rates_;  ///< [L, 1] f32
};

}  // namespace veomni
