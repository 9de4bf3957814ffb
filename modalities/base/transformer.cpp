#include "modalities/base/transformer.h"

#include <ATen/ATen.h>

#include "core/recipe/groups.h"

namespace veomni {

Transformer::Transformer(const BaseConfig& base, const std::vector<UnitSpec>& units,
                         ParallelContext& context)
    : base_(base) {
  std::vector<double> bias_rates;
  for (const auto& unit : units) {
    if (!unit.attends) continue;  // experts: the block makes them
    const auto config = block_config(base, static_cast<int64_t>(blocks_.size()));
    blocks_.push_back(std::make_unique<Block>(unit, config, context));
    if (config.num_experts == 0) continue;
    const auto& router = unit.parameters[block_parameters(config).router];
    bias_rates.push_back(is_frozen(context.groups, router.name) ? 0 : base.router_bias_update_rate);
  }
  if (base.num_experts > 0) {
    const std::vector<int64_t> shape{base.num_hidden_layers, base.num_experts};
    const at::Device device(context.cuda ? at::kCUDA : at::kCPU);
    // f_i counts choices a token, as Hugging Face's load_balancing_loss_func does: it sums to k.
    fractions_ = at::full(
        shape,
        static_cast<double>(base.num_experts_per_tok) / static_cast<double>(base.num_experts),
        at::TensorOptions(device).dtype(at::kFloat));
    counts_ = at::zeros(shape, at::TensorOptions(device).dtype(at::kDouble));
    if (base.router_bias_update_rate > 0) {
      router_bias_ = at::zeros_like(fractions_);
      router_bias_rates_ = at::tensor(bias_rates, fractions_.options()).unsqueeze(1);
    }
  }
}

std::vector<Unit*> Transformer::units() { return units_of(blocks_); }

void Transformer::move_router_bias(const at::Tensor& loads) {
  if (!router_bias_.defined()) return;
  const auto towards = (loads.mean(1, true) - loads).sign();
  router_bias_.add_(towards.to(router_bias_.options()) * router_bias_rates_);
}

RoutingSums Transformer::sum_routing(const std::vector<Routing>& routing,
                                     const TokenRow& row) const {
  const auto layers = static_cast<double>(routing.size());
  const auto experts = static_cast<double>(base_.num_experts);
  std::vector<at::Tensor> probability, z, counts;
  for (const auto& layer : routing) {
    probability.push_back(layer.probability_sum);
    z.push_back(layer.z_sum);
    counts.push_back(layer.counts);
  }
  const auto p = at::stack(probability);  // [L, E]
  at::Tensor balance;
  if (base_.balance == "step") {
    balance = (fractions_ * p).sum() * (experts / layers);
  } else {
    // Hugging Face pools the layers first, then multiplies fractions and mean probabilities.
    auto chosen = at::stack(counts).sum(0);
    if (row.share != nullptr) row.share->group.all_reduce(chosen);
    const auto tokens = static_cast<double>(row.noise_keys.size(0));
    const double all = row.share != nullptr ? row.share->tokens() : tokens;
    const auto f = chosen / (layers * std::max(1.0, all));
    balance = (f.to(p.options()) * p.sum(0)).sum() * (experts / layers);
  }
  return {balance, at::stack(z).sum() / layers};
}

Stream Transformer::forward(const at::Tensor& x, const TokenRow& row, const Pass& pass,
                            RoutingSums* sums) {
  Stream stream{x, {}};
  const bool routes = base_.num_experts > 0 && (pass.train || sums != nullptr);
  std::vector<Routing> routing(routes ? blocks_.size() : 0);
  TokenRow own = row;
  // Each layer's router reads them.
  if (base_.router_force_balance && pass.train) own.noise_keys = row.noise_keys.to(x.device());
  for (size_t layer = 0; layer < blocks_.size(); ++layer) {
    own.layer = static_cast<int64_t>(layer);
    if (router_bias_.defined()) own.router_bias = router_bias_[own.layer];
    stream =
        blocks_[layer]->forward(stream, own, pass, routing.empty() ? nullptr : &routing[layer]);
  }
  if (routing.empty()) return stream;
  if (sums != nullptr) *sums = sum_routing(routing, row);
  if (pass.train) {
    for (size_t layer = 0; layer < routing.size(); ++layer)
      counts_[layer].add_(routing[layer].counts);
  }
  return stream;
}

}  // namespace veomni
