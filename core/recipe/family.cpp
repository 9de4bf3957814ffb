#include "core/recipe/family.h"

#include "core/error.h"

namespace veomni {

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {.name = "llama", .doc = "no biases, no q/k-norm (also Mistral)", .mlp_bias_key = true},
      {.name = "qwen2",
       .doc = "biases on q, k and v",
       .attention_bias = true,
       .output_bias = false},
      {.name = "qwen3", .doc = "RMSNorm on each head of q and k", .qk_norm = true},
      {.name = "qwen3_moe", .doc = "q/k-norm and experts", .needs_experts = true, .qk_norm = true},
      {.name = "mixtral",
       .doc = "experts, no biases, no q/k-norm",
       .needs_experts = true,
       .attention_bias_key = false,
       .qk_norm_key = false},
      {.name = "gpt2",
       .doc = "LayerNorm, learned positions, plain feed-forward, biases everywhere",
       .layer_norm = true,
       .gated_mlp = false,
       .rotary = false,
       .grouped_heads = false,
       .expert_keys = false,
       .attention_bias = true,
       .attention_bias_key = false,
       .qk_norm_key = false,
       .mlp_bias = true,
       .hidden_act = "gelu_new"},
      {.name = "gpt_neox",
       .doc = "LayerNorm, a part of each head rotates, attention and feed-forward side by side "
              "(Pythia)",
       .layer_norm = true,
       .gated_mlp = false,
       .partial_rotary = true,
       .parallel_residual = true,
       .grouped_heads = false,
       .expert_keys = false,
       .attention_bias = true,
       .qk_norm_key = false,
       .mlp_bias = true,
       .hidden_act = "gelu"}};
  return all;
}

const Family& family_of(const std::string& name) {
  for (const Family& family : families())
    if (name == family.name) return family;
  throw Error(fmt::format("model.base.family: no family '{}'", name));
}

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const Family& family : families()) names.emplace_back(family.name);
  return names;
}

const std::vector<std::string>& activation_names() {
  static const std::vector<std::string> names = {
      "silu", "swish", "gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "quick_gelu", "relu"};
  return names;
}

}  // namespace veomni
