#pragma once
// Which experts a token visits. T tokens, D model, E experts, k experts a token

#include <ATen/core/Tensor.h>

#include "modalities/base/block_spec.h"

namespace veomni {

/// What a MoE layer tells of its routing; undefined for dense layers.
struct Routing {
  at::Tensor probability_sum;  ///< [E] f32, Σ_t of router probabilities, with gradient
  at::Tensor z_sum;            ///< [] f32, Σ_t logsumexp(logits)², with gradient
  at::Tensor counts;           ///< [E] f64, choices that fell on each expert
};

/// Gates carry the gradient to the router.
struct Choice {
  at::Tensor gates, chosen;  ///< [T, k] of x's dtype; [T, k] i64
};

struct RouterInput {
  at::Tensor x;       ///< [T, D]
  at::Tensor weight;  ///< [E, D]
  /// [E] f32 or undefined: added to the probabilities for the choice alone; gates are without it (Wang et al. 2024,
  /// arXiv:2408.15664, equation 3).
  at::Tensor bias;
  /// [T] i64 or undefined: tokens with these keys (Batch::noise_keys) visit experts in turn, k each, where the one before
  /// left off: any E tokens of a pack that follow one another visit each expert k times; gates are the router's.
  at::Tensor turns;
};

/// The k experts of the highest probability, in f32 (Switch Transformer, arXiv:2101.03961, section 2.4). `routing` may be
/// null.
Choice route(const RouterInput& input, const BlockConfig& config, Routing* routing);

}  // namespace veomni
