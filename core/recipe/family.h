#pragma once
// Model families: which variations of the one Transformer block each has, and what its recipe keys default to. A new
// family is a row here, its config.json in core/hugging_face/config.cpp and its tensors' names in
// modalities/base/hugging_face_spec.cpp.

#include <string>
#include <vector>

namespace veomni {

/// Names are those of transformers' model_type.
struct Family {
  const char* name = "";
  const char* doc = "";
  bool layer_norm =
      false;              ///< LayerNorm with bias (key layer_norm_eps), else RMSNorm (rms_norm_eps)
  bool gated_mlp = true;  ///< down(act(gate) · up), else down(act(up))
  bool rotary =
      true;  ///< rope_theta, rope_scaling; else a learned table of max_position_embeddings rows
  bool partial_rotary = false;     ///< rotary_pct
  bool parallel_residual = false;  ///< use_parallel_residual is a key, true by default
  bool grouped_heads = true;       ///< num_key_value_heads and head_dim are keys
  bool expert_keys = true;         ///< layers may be mixtures of experts
  bool needs_experts = false;      ///< and always are
  bool attention_bias = false;     ///< default of the key, or always so where it is none
  bool attention_bias_key = true;
  bool output_bias = true;  ///< attention_bias counts for o_proj too
  bool qk_norm = false, qk_norm_key = true;
  bool mlp_bias = false, mlp_bias_key = false;  ///< dense layers only
  const char* hidden_act = "silu";
};

const std::vector<Family>& families();
/// Throws Error when there is none of this name: recipes have been checked.
const Family& family_of(const std::string& name);
std::vector<std::string> family_names();

/// transformers' names of activation functions that our blocks have.
const std::vector<std::string>& activation_names();

}  // namespace veomni
