#include "modalities/base/block.h"

#include <ATen/ATen.h>

#include "kernels/activation.h"
#include "kernels/dense_block.h"
#include "kernels/linear.h"
#include "kernels/moe.h"
#include "kernels/norm.h"
#include "modalities/base/dropout.h"

namespace veomni {
namespace {

/// Chooses k experts for each token; gates carry the gradient. Router logits are kept in f32 (Switch Transformer,
/// arXiv:2101.03961, section 2.4).
struct Choice {
  at::Tensor gates, chosen;  ///< [T, k]
};

Choice route(const at::Tensor& x, const at::Tensor& router, const BlockConfig& config,
             Routing* routing) {
  const auto logits = at::linear(x.to(at::kFloat), router.to(at::kFloat));
  const auto probabilities = logits.softmax(-1);
  auto [gates, chosen] = probabilities.topk(config.num_experts_per_tok, -1);
  if (config.norm_topk_prob) gates = gates / gates.sum(-1, true);
  if (routing != nullptr) {
    routing->probability_sum = probabilities.sum(0);
    routing->z_sum = logits.logsumexp(-1).square().sum();
    routing->counts = at::bincount(chosen.reshape({-1}), {}, config.num_experts).to(at::kDouble);
  }
  return {gates.to(x.scalar_type()), chosen};
}

}  // namespace

Block::Block(const UnitSpec& unit, const BlockConfig& config, ParallelContext& context)
    : config_(config), at_(block_parameters(config)), unit_(unit.name, unit.parameters, context) {}

kernels::AttentionShape Block::attention_shape() const {
  return {.query_heads = config_.num_attention_heads,
          .key_value_heads = config_.num_key_value_heads,
          .head_dim = config_.head_dim,
          .causal = config_.causal,
          .rope_theta = config_.rope_theta,
          .qk_norm_eps = config_.rms_norm_eps};
}

/// Nothing happens between the operators: no dropout, nobody looks.
bool Block::runs_fused(const Stream& in, const Pass& pass) const {
  return config_.num_experts == 0 && !(pass.train && pass.dropout > 0) && !pass.probe &&
         kernels::has_dense_block(in.sum);
}

Stream Block::fused(const UnitUse& weights, const Stream& in, const TokenRow& row) const {
  const auto weight = [&](size_t i) {
    return i == BlockParameters::kAbsent ? at::Tensor() : weights[i];
  };
  const kernels::DenseBlockWeights all{.input_norm = weight(at_.input_norm),
                                       .qkv = weight(at_.qkv),
                                       .qkv_bias = weight(at_.qkv_bias),
                                       .q_norm = weight(at_.q_norm),
                                       .k_norm = weight(at_.k_norm),
                                       .output = weight(at_.output),
                                       .post_norm = weight(at_.post_norm),
                                       .gate_up = weight(at_.gate_up),
                                       .down = weight(at_.down)};
  const auto [middle, fed] =
      kernels::dense_block(in.sum, in.branch, all, row.positions, row.cu_seqlens, attention_shape(),
                           config_.rms_norm_eps);
  return {middle, fed};
}

at::Tensor Block::attention(const UnitUse& weights, const at::Tensor& x,
                            const TokenRow& row) const {
  const auto bias = at_.qkv_bias == BlockParameters::kAbsent ? at::Tensor() : weights[at_.qkv_bias];
  const auto qkv = kernels::linear(x, weights[at_.qkv], bias);
  const auto q_weight = config_.qk_norm ? weights[at_.q_norm] : at::Tensor();
  const auto k_weight = config_.qk_norm ? weights[at_.k_norm] : at::Tensor();
  const auto mixed = attend(qkv, q_weight, k_weight, row, attention_shape());
  return kernels::linear(mixed, weights[at_.output], {});
}

at::Tensor Block::feed_forward(const UnitUse& weights, const at::Tensor& x,
                               Routing* routing) const {
  if (config_.num_experts == 0) {
    return kernels::linear(kernels::swiglu(kernels::linear(x, weights[at_.gate_up], {})),
                           weights[at_.down], {});
  }
  const auto choice = route(x, weights[at_.router], config_, routing);
  return kernels::moe_experts(x, choice.gates, choice.chosen, weights[at_.gate_up],
                              weights[at_.down]);
}

Stream Block::forward(const Stream& in, const TokenRow& row, const Pass& pass, Routing* routing) {
  auto weights = unit_.enter();
  if (row.cache == nullptr && runs_fused(in, pass)) {
    const auto [middle, fed] = fused(weights, in, row);
    auto out = weights.leave({middle, fed});
    return {out[0], out[1]};
  }
  const auto& name = unit_.name();
  auto [sum, normed] =
      in.branch.defined()
          ? kernels::add_rms_norm(in.branch, in.sum, weights[at_.input_norm], config_.rms_norm_eps)
          : std::pair(in.sum,
                      kernels::rms_norm(in.sum, weights[at_.input_norm], config_.rms_norm_eps));
  auto attended = attention(weights, normed, row);
  pass.look(name + ".self_attn", attended);
  attended = residual_dropout(attended, row.noise_keys, pass, name + ".self_attn");
  auto [middle, normed_again] =
      kernels::add_rms_norm(attended, sum, weights[at_.post_norm], config_.rms_norm_eps);
  auto fed = feed_forward(weights, normed_again, routing);
  pass.look(name + ".mlp", fed);
  fed = residual_dropout(fed, row.noise_keys, pass, name + ".mlp");
  if (routing == nullptr || !routing->probability_sum.defined()) {
    auto out = weights.leave({middle, fed});
    return {out[0], out[1]};
  }
  auto out = weights.leave({middle, fed, routing->probability_sum, routing->z_sum});
  routing->probability_sum = out[2];
  routing->z_sum = out[3];
  return {out[0], out[1]};
}

}  // namespace veomni
