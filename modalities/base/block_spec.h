#pragma once
// The Transformer block that base model and encoders share, described without LibTorch.

#include <array>
#include <cstdint>
#include <string>

#include "core/recipe/parameter_spec.h"
#include "core/recipe/recipe.h"
#include "kernels/activation.h"
#include "kernels/rope.h"

namespace veomni {

enum class NormType { rms_norm, layer_norm };  ///< layer_norm has a bias

/// One pre-norm block: x + attention(norm(x)), then x + feed_forward(norm(x)); or, parallel_residual,
/// x + attention(norm(x)) + feed_forward(norm'(x)). Every variation of model families and encoders is a field.
struct BlockConfig {
  int64_t hidden_size = 0, intermediate_size = 0;
  int64_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
  NormType norm = NormType::rms_norm;
  double norm_eps = 1e-6;       ///< of all norms, those of q and k too
  bool attention_bias = false;  ///< on q, k and v
  bool key_bias = true;         ///< with attention_bias: on k too (Whisper: not)
  bool attention_output_bias = false, mlp_bias = false;
  bool qk_norm = false, causal = true;
  int64_t window = 0;       ///< tokens that each sees, itself included; 0: all before it
  double rope_theta = 0;    ///< 0: no rotary embedding
  int64_t rotary_dims = 0;  ///< first dims of a head that rotate; 0: all
  kernels::RopeScaling rope_scaling = {};
  std::array<int64_t, 3> rope_sections{};  ///< of positions [3, T] (kernels/attention.h)
  bool rope_restarts = false;
  kernels::Activation activation = kernels::Activation::silu;
  bool gated_mlp = true;  ///< down(act(gate(x)) · up(x)), else down(act(up(x)))
  bool parallel_residual = false;
  double initializer_range = 0.02;
  int64_t num_layers =
      1;  ///< of the stack: outputs to the residual start smaller by 1/sqrt(2 layers)
  int64_t num_experts = 0, num_experts_per_tok = 0,
          moe_intermediate_size = 0;  ///< num_experts 0: dense. Experts are SwiGLU without biases
  bool norm_topk_prob = true;
  bool router_force_balance = false;  ///< in training experts take turns (RouterInput::turns)
};

/// By transformers' name, one of activation_names (core/recipe/family.h): the tables check it.
kernels::Activation activation_named(const std::string& name);

/// Of layer `layer`, of which attention's window may depend.
BlockConfig block_config(const BaseConfig& base, int64_t layer);

/// Parameters, in order: input_layernorm, qkv_proj (rows: q heads, k heads, v heads; a bias without k's part where
/// key_bias is false), [q_norm, k_norm], o_proj, post_attention_layernorm, then gate_up_proj (rows: gate, up) or
/// up_proj, and down_proj; or the router. A bias follows its weight.
UnitSpec describe_block(const std::string& prefix, const BlockConfig& config);

/// The experts of a MoE block, a unit of their own, for ranks may share them: gate_up [E, 2F, D], down [E, D, F].
UnitSpec describe_experts(const std::string& prefix, const BlockConfig& config);

/// Places of the parameters in describe_block's list.
struct BlockParameters {
  static constexpr size_t kAbsent = ~size_t{0};
  struct Place {
    size_t weight = kAbsent, bias = kAbsent;
  };
  Place input_norm, qkv, output, post_norm;
  Place up, down;  ///< of dense blocks; up: gate_up where the layer is gated
  size_t q_norm = kAbsent, k_norm = kAbsent, router = kAbsent;
};
BlockParameters block_parameters(const BlockConfig& config);

/// The base model: unit 0 holds the final norm, learned positions where the family has them, special tokens, embedding,
/// and lm_head when it is not tied; then the blocks, each followed by its experts where it has some.
/// `special_tokens`: readout and boundary tokens; 0 rows are never declared.
std::vector<UnitSpec> describe_base(const BaseConfig& base, int64_t vocab_size,
                                    int64_t special_tokens, int64_t learned_task_weights);

}  // namespace veomni
