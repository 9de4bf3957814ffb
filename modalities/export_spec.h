#pragma once
// Checkpoints as Hugging Face directories. No LibTorch.

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/checkpoint/checkpoint.h"
#include "core/recipe/recipe.h"

namespace veomni {

struct ExportSettings {
  std::filesystem::path directory;  ///< made; must be absent or empty
  std::string dtype = "fp32";       ///< fp32 | bf16 | fp16: of the base model's tensors
  int64_t shard_bytes = int64_t{5}
                        << 30;  ///< a file holds at most so much, and one tensor at least
};

struct ExportResult {
  int64_t tensors = 0, bytes = 0, files = 0;
  int64_t rest =
      0;  ///< tensors of parts that Hugging Face's class does not have, in veomni.safetensors
};

/// Writes config.json, generation_config.json, the weights of the base model (and of the vision encoder that belongs to a
/// Qwen2.5-VL) in safetensors (with an index where they take several files), and the tokenizer's files: those of the
/// recipe's tokenizer, for characters and bytes an equivalent tokenizer.json; where samples were ids, those of the
/// directory that training started from. Encoders, heads,
/// readout and boundary tokens have no Hugging Face class: they go, in f32 and under our names, into
/// veomni.safetensors, with the recipe beside them as veomni.json. Throws ConfigError when the base has no class in
/// transformers, the directory is in use, or a value does not fit fp16.
ExportResult export_hugging_face(const Recipe& recipe, const Checkpoint& checkpoint,
                                 const ExportSettings& settings);

}  // namespace veomni
