#pragma once
// How a model directory wants text to be generated: generation_config.json, and config.json for what
// only that says.

#include <filesystem>
#include <optional>

#include "core/generate/settings.h"

namespace veomni {

struct GenerationDefaults {
  GenerationSettings
      settings;  ///< transformers' meaning: do_sample false (or absent) is temperature 0
  std::optional<int64_t> max_length;  ///< most tokens of prompt and continuation together
  bool from_file = false;             ///< there is a generation_config.json
};

/// `ignore_file`: only config.json is read (eos_token_id, max_position_embeddings → context). A key
/// of generation_config.json that would change the text in a way we do not offer is refused by name:
/// ConfigError `DIRECTORY/generation_config.json: KEY: what; what to do`.
GenerationDefaults read_generation_defaults(const std::filesystem::path& directory,
                                            bool ignore_file);

}  // namespace veomni
