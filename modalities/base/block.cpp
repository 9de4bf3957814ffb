#include "modalities/base/block.h"

#include <ATen/ATen.h>

#include "kernels/activation.h"
#include "kernels/dense_block.h"
#include "kernels/linear.h"
#include "kernels/moe.h"
#include "kernels/norm.h"
#include "kernels/swiglu_linear.h"
#include "modalities/base/dropout.h"
#include "modalities/base/shared_attention.h"

namespace veomni {
namespace {

using Place = BlockParameters::Place;

at::Tensor bias_of(const UnitUse& weights, Place place) {
  return place.bias == BlockParameters::kAbsent ? at::Tensor() : weights[place.bias];
}

at::Tensor linear(const at::Tensor& x, const UnitUse& weights, Place place) {
  return kernels::linear(x, weights[place.weight], bias_of(weights, place));
}

/// Each rank of the expert group holds E / size of them.
std::unique_ptr<Unit> make_experts(const std::string& prefix, const BlockConfig& config,
                                   ParallelContext& context) {
  if (config.num_experts == 0) return nullptr;
  UnitSpec spec = describe_experts(prefix, config);
  UnitGroups groups{context.expert_shard, context.expert};
  if (context.expert != nullptr)
    for (auto& parameter : spec.parameters) {
      parameter.row_count = config.num_experts / context.expert->size();
      parameter.row_begin = parameter.row_count * context.expert->rank();
    }
  return std::make_unique<Unit>(spec.name, spec.parameters, context, groups);
}

}  // namespace

std::pair<at::Tensor, at::Tensor> add_norm(const Stream& in, const at::Tensor& weight,
                                           const at::Tensor& bias, double epsilon) {
  const auto& [sum, branch] = in;
  if (bias.defined())
    return branch.defined() ? kernels::add_layer_norm(branch, sum, weight, bias, epsilon)
                            : std::pair(sum, kernels::layer_norm(sum, weight, bias, epsilon));
  return branch.defined() ? kernels::add_rms_norm(branch, sum, weight, epsilon)
                          : std::pair(sum, kernels::rms_norm(sum, weight, epsilon));
}

Block::Block(const UnitSpec& unit, const BlockConfig& config, ParallelContext& context)
    : config_(config),
      at_(block_parameters(config)),
      unit_(unit.name, unit.parameters, context),
      experts_(make_experts(unit.name + ".", config, context)),
      expert_share_{context.expert, context.overlap ? context.expert_parts : 1, context.ledger} {}

std::vector<Unit*> Block::units() {
  std::vector<Unit*> units{&unit_};
  if (experts_) units.push_back(experts_.get());
  return units;
}

/// The variations that the fused block knows, and nothing happens between its operators: no dropout, nobody looks.
bool Block::runs_fused(const Stream& in, const Pass& pass) const {
  const bool known = config_.num_experts == 0 && config_.norm == NormType::rms_norm &&
                     config_.gated_mlp && config_.activation == kernels::Activation::silu &&
                     !config_.attention_output_bias && !config_.mlp_bias &&
                     !config_.parallel_residual;
  return known && !(pass.train && pass.dropout > 0) && !pass.probe &&
         kernels::has_dense_block(in.sum);
}

Stream Block::fused(const UnitUse& weights, const Stream& in, const TokenRow& row) const {
  const kernels::DenseBlockWeights all{
      .input_norm = weights[at_.input_norm.weight],
      .qkv = weights[at_.qkv.weight],
      .qkv_bias = qkv_bias(weights),
      .q_norm = config_.qk_norm ? weights[at_.q_norm] : at::Tensor(),
      .k_norm = config_.qk_norm ? weights[at_.k_norm] : at::Tensor(),
      .output = weights[at_.output.weight],
      .post_norm = weights[at_.post_norm.weight],
      .gate_up = weights[at_.up.weight],
      .down = weights[at_.down.weight]};
  const auto [middle, fed] =
      kernels::dense_block(in.sum, in.branch, all, row.positions, row.cu_seqlens, attention_shape(),
                           config_.norm_eps, weights.gradient_home());
  return {middle, fed};
}

std::pair<at::Tensor, at::Tensor> Block::norm(const UnitUse& weights, Place place,
                                              const Stream& in) const {
  return add_norm(in, weights[place.weight], bias_of(weights, place), config_.norm_eps);
}

/// With zeros for the keys where they have no bias.
at::Tensor Block::qkv_bias(const UnitUse& weights) const {
  const auto bias = bias_of(weights, at_.qkv);
  if (!bias.defined() || config_.key_bias) return bias;
  const int64_t q = config_.num_attention_heads * config_.head_dim,
                kv = config_.num_key_value_heads * config_.head_dim;
  return at::cat({bias.narrow(0, 0, q), at::zeros({kv}, bias.options()), bias.narrow(0, q, kv)});
}

kernels::AttentionShape Block::attention_shape() const {
  return {.query_heads = config_.num_attention_heads,
          .key_value_heads = config_.num_key_value_heads,
          .head_dim = config_.head_dim,
          .causal = config_.causal,
          .rope_theta = config_.rope_theta,
          .qk_norm_eps = config_.norm_eps,
          .rotary_dims = config_.rotary_dims,
          .rope_scaling = config_.rope_scaling,
          .rope_sections = config_.rope_sections,
          .rope_restarts = config_.rope_restarts,
          .window = config_.window};
}

at::Tensor Block::attention(const UnitUse& weights, const at::Tensor& x,
                            const TokenRow& row) const {
  const auto q_weight = config_.qk_norm ? weights[at_.q_norm] : at::Tensor();
  const auto k_weight = config_.qk_norm ? weights[at_.k_norm] : at::Tensor();
  if (row.share != nullptr) {
    const CommUnit counted(row.share->ledger, unit_.name() + ".self_attn");
    const AttentionWeights all{weights[at_.qkv.weight], qkv_bias(weights), q_weight, k_weight};
    return linear(shared_attention(x, all, row, attention_shape()), weights, at_.output);
  }
  const auto qkv = kernels::linear(x, weights[at_.qkv.weight], qkv_bias(weights));
  const auto mixed = attend(qkv, q_weight, k_weight, row, attention_shape());
  return linear(mixed, weights, at_.output);
}

at::Tensor Block::feed_forward(const UnitUse& weights, const at::Tensor& x, const TokenRow& row,
                               bool train, Routing* routing) const {
  if (config_.num_experts > 0) {
    const bool turns = train && config_.router_force_balance;
    const auto choice = route({.x = x,
                               .weight = weights[at_.router],
                               .bias = row.router_bias,
                               .turns = turns ? row.noise_keys : at::Tensor()},
                              config_, routing);
    return experts(x, choice.gates, choice.chosen);
  }
  const auto up = linear(x, weights, at_.up);
  const bool swiglu = config_.gated_mlp && config_.activation == kernels::Activation::silu;
  if (swiglu && !config_.mlp_bias) return kernels::swiglu_linear(up, weights[at_.down.weight]);
  const auto hidden = config_.gated_mlp ? kernels::gated(up, config_.activation)
                                        : kernels::activate(up, config_.activation);
  return linear(hidden, weights, at_.down);
}

at::Tensor Block::experts(const at::Tensor& x, const at::Tensor& gates,
                          const at::Tensor& chosen) const {
  auto weights = experts_->enter();
  const CommUnit counted(expert_share_.ledger, experts_->name());
  const auto run = [&](const at::Tensor& rows, const at::Tensor& row_gates,
                       const at::Tensor& row_chosen) {
    return kernels::moe_experts(rows, row_gates, row_chosen, weights[0], weights[1]);
  };
  const bool alone = expert_share_.group == nullptr || expert_share_.group->size() == 1;
  const auto out =
      alone ? run(x, gates, chosen)
            : expert_parallel({x, gates, chosen}, config_.num_experts, expert_share_, run);
  return weights.leave(out);
}

Stream Block::forward(const Stream& in, const TokenRow& row, const Pass& pass, Routing* routing) {
  auto weights = unit_.enter();
  if (row.cache == nullptr && row.share == nullptr && runs_fused(in, pass)) {
    const auto [middle, fed] = fused(weights, in, row);
    auto out = weights.leave({middle, fed});
    return {out[0], out[1]};
  }
  const auto finish = [&](at::Tensor branch, const char* name) {
    pass.look(unit_.name() + name, branch);
    return residual_dropout(branch, row.noise_keys, pass, unit_.name() + name);
  };
  auto [sum, normed] = norm(weights, at_.input_norm, in);
  const auto attended = finish(attention(weights, normed, row), ".self_attn");
  const Stream middle = config_.parallel_residual ? Stream{sum, {}} : Stream{sum, attended};
  auto [out_sum, normed_again] = norm(weights, at_.post_norm, middle);
  auto branch = finish(feed_forward(weights, normed_again, row, pass.train, routing), ".mlp");
  if (config_.parallel_residual) branch = attended + branch;
  if (routing == nullptr || !routing->probability_sum.defined()) {
    auto out = weights.leave({out_sum, branch});
    return {out[0], out[1]};
  }
  auto out = weights.leave({out_sum, branch, routing->probability_sum, routing->z_sum});
  routing->probability_sum = out[2];
  routing->z_sum = out[3];
  return {out[0], out[1]};
}

Blocks make_blocks(const std::vector<UnitSpec>& units, const BlockConfig& config,
                   ParallelContext& context) {
  Blocks blocks;
  for (size_t i = 1; i < units.size(); ++i)
    blocks.push_back(std::make_unique<Block>(units[i], config, context));
  return blocks;
}

std::vector<Unit*> units_of(const Blocks& blocks, std::vector<Unit*> first) {
  for (const auto& block : blocks)
    for (auto* unit : block->units()) first.push_back(unit);
  return first;
}

}  // namespace veomni
