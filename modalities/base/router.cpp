#include "modalities/base/router.h"

#include <ATen/ATen.h>

namespace veomni {
namespace {

/// A token's place in its pack and the pack's lane, as Batch::noise_keys holds them, decide: on any number of ranks the same.
at::Tensor in_turn(const at::Tensor& keys, const BlockConfig& config) {
  const auto lane = keys.bitwise_right_shift(32), place = keys.bitwise_and((int64_t{1} << 32) - 1);
  const auto first = ((place + lane) * config.num_experts_per_tok).unsqueeze(1);
  const auto each = at::arange(config.num_experts_per_tok, keys.options());
  return (first + each).remainder(config.num_experts);
}

Choice choose(const at::Tensor& probabilities, const RouterInput& input,
              const BlockConfig& config) {
  const int64_t k = config.num_experts_per_tok;
  if (!input.turns.defined() && !input.bias.defined()) {
    const auto [gates, chosen] = probabilities.topk(k, -1);
    return {gates, chosen};
  }
  const auto chosen = input.turns.defined()
                          ? in_turn(input.turns.to(probabilities.device()), config)
                          : std::get<1>((probabilities.detach() + input.bias).topk(k, -1));
  return {probabilities.gather(1, chosen), chosen};
}

}  // namespace

Choice route(const RouterInput& input, const BlockConfig& config, Routing* routing) {
  const auto logits = at::linear(input.x.to(at::kFloat), input.weight.to(at::kFloat));
  const auto probabilities = logits.softmax(-1);
  auto [gates, chosen] = choose(probabilities, input, config);
  if (config.norm_topk_prob) gates = gates / gates.sum(-1, true);
  if (routing != nullptr) {
    routing->probability_sum = probabilities.sum(0);
    routing->z_sum = logits.logsumexp(-1).square().sum();
    routing->counts = at::bincount(chosen.reshape({-1}), {}, config.num_experts).to(at::kDouble);
  }
  return {gates.to(input.x.scalar_type()), chosen};
}

}  // namespace veomni
