#include "modalities/base/block_spec.h"

#include <fmt/format.h>

#include <cmath>

namespace veomni {

BlockConfig block_config(const BaseConfig& base) {
  return {.hidden_size = base.hidden_size,
          .intermediate_size = base.intermediate_size,
          .num_attention_heads = base.num_attention_heads,
          .num_key_value_heads = base.num_key_value_heads,
          .head_dim = base.head_dim,
          .attention_bias = base.attention_bias,
          .qk_norm = base.qk_norm,
          .causal = true,
          .rope_theta = base.rope_theta,
          .rms_norm_eps = base.rms_norm_eps,
          .initializer_range = base.initializer_range,
          .num_layers = base.num_hidden_layers,
          .num_experts = base.num_experts,
          .num_experts_per_tok = base.num_experts_per_tok,
          .moe_intermediate_size = base.moe_intermediate_size,
          .norm_topk_prob = base.norm_topk_prob};
}

BlockParameters block_parameters(const BlockConfig& config) {
  BlockParameters at{};
  size_t next = 0;
  at.input_norm = next++;
  at.qkv = next++;
  if (config.attention_bias) at.qkv_bias = next++;
  if (config.qk_norm) {
    at.q_norm = next++;
    at.k_norm = next++;
  }
  at.output = next++;
  at.post_norm = next++;
  if (config.num_experts > 0) at.router = next++;
  at.gate_up = next++;
  at.down = next++;
  return at;
}

namespace {

void add_feed_forward(const std::string& prefix, const BlockConfig& config,
                      double residual_deviation, std::vector<ParameterSpec>& parameters) {
  const Init normal = Init::normal(config.initializer_range);
  const Init residual = Init::normal(residual_deviation);
  const int64_t D = config.hidden_size;
  if (config.num_experts == 0) {
    parameters.push_back(
        {prefix + "mlp.gate_up_proj.weight", {2 * config.intermediate_size, D}, normal});
    parameters.push_back(
        {prefix + "mlp.down_proj.weight", {D, config.intermediate_size}, residual});
    return;
  }
  const int64_t E = config.num_experts, F = config.moe_intermediate_size;
  parameters.push_back({prefix + "mlp.gate.weight", {E, D}, normal});
  parameters.push_back({prefix + "mlp.experts.gate_up_proj", {E, 2 * F, D}, normal});
  parameters.push_back({prefix + "mlp.experts.down_proj", {E, D, F}, residual});
}

/// Multiply-adds of the matrices a token meets, twice: one flop for each multiply and each add.
double matrix_flops(const BlockConfig& config) {
  const double D = static_cast<double>(config.hidden_size);
  const double H = static_cast<double>(config.head_dim);
  const double heads = static_cast<double>(config.num_attention_heads);
  const double kv_heads = static_cast<double>(config.num_key_value_heads);
  double weights = D * (heads + 2 * kv_heads) * H + heads * H * D;
  if (config.num_experts == 0) {
    weights += 3 * D * static_cast<double>(config.intermediate_size);
  } else {
    weights +=
        D * static_cast<double>(config.num_experts) +
        3 * D * static_cast<double>(config.moe_intermediate_size * config.num_experts_per_tok);
  }
  return 2 * weights;
}

/// Inputs of the products and of the fused kernels; see block.cpp for what each keeps.
double saved_bytes(const BlockConfig& config) {
  const auto D = config.hidden_size;
  const auto attention =
      (2 * config.num_attention_heads + 2 * config.num_key_value_heads) * config.head_dim +
      config.num_attention_heads;
  const auto ffn = config.num_experts == 0
                       ? 3 * config.intermediate_size
                       : 3 * config.moe_intermediate_size * config.num_experts_per_tok;
  return 4.0 * static_cast<double>(4 * D + attention + ffn + 2);
}

}  // namespace

UnitSpec describe_block(const std::string& prefix, const BlockConfig& config) {
  const int64_t D = config.hidden_size, H = config.head_dim;
  const int64_t qkv_rows = (config.num_attention_heads + 2 * config.num_key_value_heads) * H;
  const Init normal = Init::normal(config.initializer_range);
  // Radford et al. 2019, section 2.3: layers that add to the residual are scaled by 1/sqrt(their number).
  const double residual =
      config.initializer_range / std::sqrt(2.0 * static_cast<double>(config.num_layers));
  UnitSpec unit;
  unit.name = prefix.substr(0, prefix.size() - 1);
  auto& parameters = unit.parameters;
  parameters.push_back({prefix + "input_layernorm.weight", {D}, Init::ones(), false});
  parameters.push_back({prefix + "self_attn.qkv_proj.weight", {qkv_rows, D}, normal});
  if (config.attention_bias) {
    parameters.push_back({prefix + "self_attn.qkv_proj.bias", {qkv_rows}, Init::zeros(), false});
  }
  if (config.qk_norm) {
    parameters.push_back({prefix + "self_attn.q_norm.weight", {H}, Init::ones(), false});
    parameters.push_back({prefix + "self_attn.k_norm.weight", {H}, Init::ones(), false});
  }
  parameters.push_back({prefix + "self_attn.o_proj.weight",
                        {D, config.num_attention_heads * H},
                        Init::normal(residual)});
  parameters.push_back({prefix + "post_attention_layernorm.weight", {D}, Init::ones(), false});
  add_feed_forward(prefix, config, residual, parameters);
  unit.flops_per_token = matrix_flops(config);
  unit.saved_bytes_per_token = saved_bytes(config);
  return unit;
}

std::vector<UnitSpec> describe_base(const BaseConfig& base, int64_t vocab_size,
                                    int64_t special_tokens, int64_t learned_task_weights) {
  const int64_t D = base.hidden_size;
  const Init normal = Init::normal(base.initializer_range);
  UnitSpec root{.name = "model", .parameters = {}};
  root.parameters.push_back({"model.norm.weight", {D}, Init::ones(), false});
  root.parameters.push_back({"model.special_tokens.weight", {special_tokens, D}, normal, false});
  if (vocab_size > 0) {
    root.parameters.push_back({"model.embed_tokens.weight", {vocab_size, D}, normal, false});
    if (!base.tie_word_embeddings)
      root.parameters.push_back({"lm_head.weight", {vocab_size, D}, normal});
  }
  if (learned_task_weights > 0) {
    root.parameters.push_back({"task_log_variances", {learned_task_weights}, Init::zeros(), false});
  }
  root.flops_per_token = 2.0 * static_cast<double>(vocab_size * D);
  root.saved_bytes_per_token = 4.0 * static_cast<double>(2 * D);
  std::vector<UnitSpec> units{root};
  for (int64_t layer = 0; layer < base.num_hidden_layers; ++layer) {
    units.push_back(describe_block(fmt::format("model.layers.{}.", layer), block_config(base)));
  }
  return units;
}

}  // namespace veomni
