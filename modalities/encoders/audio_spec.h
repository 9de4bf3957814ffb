#pragma once

#include "core/recipe/spec.h"
#include "modalities/base/block_spec.h"

namespace veomni {

BlockConfig audio_block_config(const PartConfig& config);

/// Places of unit 0's parameters.
struct AudioRoot {
  enum : size_t { conv1, conv1_bias, conv2, conv2_bias, positions, norm, norm_bias, projector };
};

/// Unit 0: two convolutions, the position table (fixed: it does not train), last norm, projector [D, W]; then one unit
/// a block.
std::vector<UnitSpec> describe_audio(const PartConfig& config, const BaseSizes& sizes);

/// Keys from the config.json of a Whisper model; its decoder is not ours.
PartFrom read_whisper(const std::filesystem::path& directory);

/// Field: a sound of any length and rate, cut into windows of 2 · max_source_positions frames of 10 ms. Arrays:
///   [0] features  f32 [windows, num_mel_bins, 2 · max_source_positions], the log-mel spectrogram (core/data/sound.h)
///   [1] counts    i64 [windows]: outputs that hold sound; the rest is padding
/// token_count: Σ counts, or the number of windows when pooled.
std::unique_ptr<Preprocessor> make_audio_preprocessor(const PartConfig& config);

}  // namespace veomni
