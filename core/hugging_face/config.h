#pragma once
// Hugging Face's config.json, read as the `model.base` of a recipe. Both forms that occur: as transformers 5 saves it
// (rope_parameters, dtype, num_local_experts), and as most directories of the Hub have it (rope_theta, rope_scaling).

#include <filesystem>
#include <string>

#include "core/json.h"

namespace veomni {

/// The keys of model.base, every one that config.json decides. Architectures: llama, mistral, qwen2, qwen3, qwen3_moe,
/// mixtral, gpt2, gpt_neox; rotary positions: default, linear, dynamic, llama3, yarn. Dropouts that GPT-2 and GPT-NeoX
/// were trained with are not taken over: a training's own is train.dropout.
/// Throws ConfigError `DIRECTORY/config.json: KEY: what; what to do` on an unknown architecture, a setting our model
/// does not compute, and a key it does not know.
Json read_hugging_face_config(const std::filesystem::path& directory);

/// The encoder that a directory of several parts holds beside its base model: {"type": …} and the ids of its tokens
/// (image_token_id, vision_start_token_id, …); null for models of text alone.
Json read_vision_encoder(const std::filesystem::path& directory);

/// The inverse: config.json of a base model, in the form of the Hub. `max_position_embeddings` is the longest sample
/// trained on; the base's own key goes before it. Throws ConfigError when no class of transformers computes this base.
Json make_hugging_face_config(const Json& base, int64_t max_position_embeddings);

}  // namespace veomni
