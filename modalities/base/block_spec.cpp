#include "modalities/base/block_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/recipe/family.h"

namespace veomni {

namespace {

using kernels::Activation;
using kernels::RopeScaling;

std::array<int64_t, 3> sections_of(const BaseConfig& base) {
  std::array<int64_t, 3> sections{};
  std::copy(base.mrope_section.begin(), base.mrope_section.end(), sections.begin());
  return sections;
}

/// Peng et al. 2023 (arXiv:2309.00071), section 3.4, with DeepSeek's two mscales.
double yarn_attention_factor(const RopeScalingConfig& rope) {
  if (rope.attention_factor > 0) return rope.attention_factor;
  const auto scale = [&](double mscale) {
    return rope.factor <= 1 ? 1.0 : 0.1 * mscale * std::log(rope.factor) + 1;
  };
  if (rope.mscale > 0 && rope.mscale_all_dim > 0)
    return scale(rope.mscale) / scale(rope.mscale_all_dim);
  return scale(1);
}

RopeScaling rope_scaling_of(const BaseConfig& base) {
  using Type = RopeScaling::Type;
  const auto& rope = base.rope_scaling;
  RopeScaling scaling{.factor = rope.factor,
                      .original_max_position_embeddings = rope.original_max_position_embeddings,
                      .low_freq_factor = rope.low_freq_factor,
                      .high_freq_factor = rope.high_freq_factor,
                      .beta_fast = rope.beta_fast,
                      .beta_slow = rope.beta_slow,
                      .truncate = rope.truncate};
  if (rope.rope_type == "linear") scaling.type = Type::linear;
  if (rope.rope_type == "llama3") scaling.type = Type::llama3;
  if (rope.rope_type == "dynamic") {
    scaling.type = Type::dynamic;
    scaling.original_max_position_embeddings = static_cast<double>(base.max_position_embeddings);
  }
  if (rope.rope_type == "yarn") {
    scaling.type = Type::yarn;
    scaling.attention_factor = yarn_attention_factor(rope);
  }
  return scaling;
}

}  // namespace

Activation activation_named(const std::string& name) {
  if (name == "silu" || name == "swish") return Activation::silu;
  if (name == "gelu") return Activation::gelu;
  if (name == "quick_gelu") return Activation::quick_gelu;
  return name == "relu" ? Activation::relu : Activation::gelu_tanh;
}

namespace {

int64_t window_of(const BaseConfig& base, int64_t layer) {
  const bool slides = base.layer_types.empty() ||
                      base.layer_types.at(static_cast<size_t>(layer)) == "sliding_attention";
  return slides ? base.sliding_window : 0;
}

}  // namespace

BlockConfig block_config(const BaseConfig& base, int64_t layer) {
  const Family& family = family_of(base.family);
  return {.hidden_size = base.hidden_size,
          .intermediate_size = base.intermediate_size,
          .num_attention_heads = base.num_attention_heads,
          .num_key_value_heads = base.num_key_value_heads,
          .head_dim = base.head_dim,
          .norm = family.layer_norm ? NormType::layer_norm : NormType::rms_norm,
          .norm_eps = base.norm_eps,
          .attention_bias = base.attention_bias,
          .attention_output_bias = base.attention_bias && family.output_bias,
          .mlp_bias = base.mlp_bias,
          .qk_norm = base.qk_norm,
          .window = window_of(base, layer),
          .rope_theta = base.rope_theta,
          .rotary_dims = static_cast<int64_t>(static_cast<double>(base.head_dim) * base.rotary_pct),
          .rope_scaling = rope_scaling_of(base),
          .rope_sections = sections_of(base),
          .activation = activation_named(base.hidden_act),
          .gated_mlp = family.gated_mlp,
          .parallel_residual = base.use_parallel_residual,
          .initializer_range = base.initializer_range,
          .num_layers = base.num_hidden_layers,
          .num_experts = base.num_experts,
          .num_experts_per_tok = base.num_experts_per_tok,
          .moe_intermediate_size = base.moe_intermediate_size,
          .norm_topk_prob = base.norm_topk_prob,
          .router_force_balance = base.router_force_balance};
}

BlockParameters block_parameters(const BlockConfig& config) {
  BlockParameters at;
  size_t next = 0;
  const auto place = [&](BlockParameters::Place& of, bool bias) {
    of.weight = next++;
    if (bias) of.bias = next++;
  };
  const bool layer_norm = config.norm == NormType::layer_norm;
  place(at.input_norm, layer_norm);
  place(at.qkv, config.attention_bias);
  if (config.qk_norm) {
    at.q_norm = next++;
    at.k_norm = next++;
  }
  place(at.output, config.attention_output_bias);
  place(at.post_norm, layer_norm);
  if (config.num_experts > 0) {
    at.router = next++;
    return at;
  }
  place(at.up, config.mlp_bias);
  place(at.down, config.mlp_bias);
  return at;
}

namespace {

using Parameters = std::vector<ParameterSpec>;

void add_norm(Parameters& parameters, const std::string& name, const BlockConfig& config) {
  parameters.push_back({name + ".weight", {config.hidden_size}, Init::ones(), false});
  if (config.norm == NormType::layer_norm)
    parameters.push_back({name + ".bias", {config.hidden_size}, Init::zeros(), false});
}

struct LinearSpec {
  std::string name;
  int64_t out = 0, in = 0;
  Init init;
  int64_t bias = 0;  ///< elements
};

void add_linear(Parameters& parameters, const LinearSpec& linear) {
  parameters.push_back({linear.name + ".weight", {linear.out, linear.in}, linear.init});
  if (linear.bias > 0)
    parameters.push_back({linear.name + ".bias", {linear.bias}, Init::zeros(), false});
}

void add_attention(Parameters& parameters, const std::string& prefix, const BlockConfig& config,
                   double residual_deviation) {
  const int64_t D = config.hidden_size, H = config.head_dim;
  const int64_t q = config.num_attention_heads * H, kv = config.num_key_value_heads * H;
  const int64_t bias = config.attention_bias ? q + (config.key_bias ? 2 : 1) * kv : 0;
  add_linear(parameters, {prefix + "self_attn.qkv_proj", q + 2 * kv, D,
                          Init::normal(config.initializer_range), bias});
  if (config.qk_norm) {
    parameters.push_back({prefix + "self_attn.q_norm.weight", {H}, Init::ones(), false});
    parameters.push_back({prefix + "self_attn.k_norm.weight", {H}, Init::ones(), false});
  }
  add_linear(parameters, {prefix + "self_attn.o_proj", D, q, Init::normal(residual_deviation),
                          config.attention_output_bias ? D : 0});
}

void add_feed_forward(Parameters& parameters, const std::string& prefix, const BlockConfig& config,
                      double residual_deviation) {
  const Init normal = Init::normal(config.initializer_range);
  const Init residual = Init::normal(residual_deviation);
  const int64_t D = config.hidden_size;
  if (config.num_experts == 0) {
    const int64_t F = config.intermediate_size, up = (config.gated_mlp ? 2 : 1) * F;
    add_linear(parameters, {prefix + (config.gated_mlp ? "mlp.gate_up_proj" : "mlp.up_proj"), up, D,
                            normal, config.mlp_bias ? up : 0});
    add_linear(parameters, {prefix + "mlp.down_proj", D, F, residual, config.mlp_bias ? D : 0});
    return;
  }
  parameters.push_back({prefix + "mlp.gate.weight", {config.num_experts, D}, normal});
}

/// Radford et al. 2019, section 2.3: layers that add to the residual are scaled by 1/sqrt(their number).
double residual_deviation(const BlockConfig& config) {
  return config.initializer_range / std::sqrt(2.0 * static_cast<double>(config.num_layers));
}

/// Weights of the experts that one token meets.
double expert_weights(const BlockConfig& config) {
  return 3.0 * static_cast<double>(config.hidden_size * config.moe_intermediate_size *
                                   config.num_experts_per_tok);
}

/// Multiply-adds of the matrices a token meets, twice: one flop for each multiply and each add.
double matrix_flops(const BlockConfig& config) {
  const double D = static_cast<double>(config.hidden_size);
  const double H = static_cast<double>(config.head_dim);
  const double heads = static_cast<double>(config.num_attention_heads);
  const double kv_heads = static_cast<double>(config.num_key_value_heads);
  double weights = D * (heads + 2 * kv_heads) * H + heads * H * D;
  if (config.num_experts == 0) {
    weights += (config.gated_mlp ? 3 : 2) * D * static_cast<double>(config.intermediate_size);
  } else {
    weights += D * static_cast<double>(config.num_experts);
  }
  return 2 * weights;
}

/// Inputs of the products and of the fused kernels; see block.cpp for what each keeps.
double saved_bytes(const BlockConfig& config) {
  const auto D = config.hidden_size;
  const auto attention =
      (2 * config.num_attention_heads + 2 * config.num_key_value_heads) * config.head_dim +
      config.num_attention_heads;
  const auto ffn =
      config.num_experts == 0 ? (config.gated_mlp ? 3 : 2) * config.intermediate_size : 0;
  return 4.0 * static_cast<double>(4 * D + attention + ffn + 2);
}

}  // namespace

UnitSpec describe_block(const std::string& prefix, const BlockConfig& config) {
  const double residual = residual_deviation(config);
  UnitSpec unit;
  unit.name = prefix.substr(0, prefix.size() - 1);
  add_norm(unit.parameters, prefix + "input_layernorm", config);
  add_attention(unit.parameters, prefix, config, residual);
  add_norm(unit.parameters, prefix + "post_attention_layernorm", config);
  add_feed_forward(unit.parameters, prefix, config, residual);
  unit.flops_per_token = matrix_flops(config);
  unit.saved_bytes_per_token = saved_bytes(config);
  unit.attends = true;
  return unit;
}

UnitSpec describe_experts(const std::string& prefix, const BlockConfig& config) {
  const int64_t E = config.num_experts, F = config.moe_intermediate_size, D = config.hidden_size;
  UnitSpec unit{.name = prefix + "mlp.experts", .parameters = {}};
  unit.parameters.push_back(
      {prefix + "mlp.experts.gate_up_proj", {E, 2 * F, D}, Init::normal(config.initializer_range)});
  unit.parameters.push_back(
      {prefix + "mlp.experts.down_proj", {E, D, F}, Init::normal(residual_deviation(config))});
  unit.flops_per_token = 2 * expert_weights(config);
  unit.saved_bytes_per_token = 4.0 * static_cast<double>(3 * F * config.num_experts_per_tok);
  return unit;
}

std::vector<UnitSpec> describe_base(const BaseConfig& base, int64_t vocab_size,
                                    int64_t special_tokens, int64_t learned_task_weights) {
  const int64_t D = base.hidden_size;
  const Init normal = Init::normal(base.initializer_range);
  UnitSpec root{.name = "model", .parameters = {}};
  add_norm(root.parameters, "model.norm", block_config(base, 0));
  if (!family_of(base.family).rotary)
    root.parameters.push_back(
        {"model.embed_positions.weight", {base.max_position_embeddings, D}, normal, false});
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
    const auto prefix = fmt::format("model.layers.{}.", layer);
    const BlockConfig config = block_config(base, layer);
    units.push_back(describe_block(prefix, config));
    if (base.num_experts > 0) units.push_back(describe_experts(prefix, config));
  }
  return units;
}

}  // namespace veomni
