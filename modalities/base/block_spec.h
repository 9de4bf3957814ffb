#pragma once
// The Transformer block that base model and encoders share, described without LibTorch.

#include <cstdint>
#include <string>

#include "core/recipe/parameter_spec.h"
#include "core/recipe/recipe.h"

namespace veomni {

/// One pre-norm block: x + attention(norm(x)), then x + feed_forward(norm(x)).
struct BlockConfig {
  int64_t hidden_size = 0, intermediate_size = 0;
  int64_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
  bool attention_bias = false, qk_norm = false, causal = true;
  double rope_theta = 0;  ///< 0: no rotary embedding
  double rms_norm_eps = 1e-6;
  double initializer_range = 0.02;
  int64_t num_layers =
      1;  ///< of the stack: outputs to the residual start smaller by 1/sqrt(2 layers)
  int64_t num_experts = 0, num_experts_per_tok = 0,
          moe_intermediate_size = 0;  ///< num_experts 0: dense SwiGLU
  bool norm_topk_prob = true;
};

BlockConfig block_config(const BaseConfig& base);

/// Parameters, in order: input_layernorm, qkv_proj (rows: q heads, k heads, v heads), [qkv bias], [q_norm, k_norm], o_proj,
/// post_attention_layernorm, then gate_up_proj (rows: gate, up) and down_proj, or router, expert gate_up and down.
UnitSpec describe_block(const std::string& prefix, const BlockConfig& config);

/// Places of the parameters in describe_block's list.
struct BlockParameters {
  static constexpr size_t kAbsent = ~size_t{0};
  size_t input_norm, qkv, qkv_bias = kAbsent, q_norm = kAbsent, k_norm = kAbsent, output, post_norm;
  size_t router = kAbsent, gate_up, down;
};
BlockParameters block_parameters(const BlockConfig& config);

/// The base model: unit 0 holds embedding, special tokens, final norm, and lm_head when it is not tied; then the blocks.
/// `special_tokens`: readout and boundary tokens; 0 rows are never declared.
std::vector<UnitSpec> describe_base(const BaseConfig& base, int64_t vocab_size,
                                    int64_t special_tokens, int64_t learned_task_weights);

}  // namespace veomni
