#include "core/hugging_face/architectures.h"

namespace veomni {

const std::vector<Architecture>& architectures() {
  using Windows = Architecture::Windows;
  static const std::vector<Architecture> all = {
      {.model_type = "llama", .family = "llama", .name = "LlamaForCausalLM"},
      {.model_type = "mistral",
       .family = "llama",
       .name = "MistralForCausalLM",
       .bias_key = false,
       .windows = Windows::all,
       .default_window = 4096},
      {.model_type = "qwen2",
       .family = "qwen2",
       .name = "Qwen2ForCausalLM",
       .bias_key = false,
       .windows = Windows::by_layer,
       .window_flag = true,
       .default_window = 4096},
      {.model_type = "qwen2_5_vl",
       .family = "qwen2",
       .name = "Qwen2_5_VLForConditionalGeneration",
       .bias_key = false,
       .windows = Windows::by_layer,
       .window_flag = true,
       .default_window = 4096,
       .max_window_layers = 80,
       .vision = "qwen2_5_vl"},
      {.model_type = "qwen3",
       .family = "qwen3",
       .name = "Qwen3ForCausalLM",
       .windows = Windows::by_layer,
       .window_flag = true,
       .default_window = 4096},
      {.model_type = "qwen3_moe",
       .family = "qwen3_moe",
       .name = "Qwen3MoeForCausalLM",
       .windows = Windows::all,
       .window_flag = true,
       .default_window = 4096},
      {.model_type = "mixtral",
       .family = "mixtral",
       .name = "MixtralForCausalLM",
       .rope_theta = 1e6,
       .norm_eps = 1e-5,
       .bias_key = false,
       .windows = Windows::all},
      {.model_type = "gpt2",
       .family = "gpt2",
       .name = "GPT2LMHeadModel",
       .norm_eps = 1e-5,
       .bias_key = false},
      {.model_type = "gpt_neox",
       .family = "gpt_neox",
       .name = "GPTNeoXForCausalLM",
       .norm_eps = 1e-5}};
  return all;
}

}  // namespace veomni
