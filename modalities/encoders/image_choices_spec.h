#pragma once
// What encoders of images share: how pixels become numbers, how many tokens, augmentation. No LibTorch.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/recipe/spec.h"

namespace veomni {

class ConfigReader;

/// How images become patches (image_preprocess_spec.h); encoders fill it from their own keys.
struct ImageSettings {
  int64_t patch = 0, channels = 3, max_patches = 1024;
  int64_t height = 0, width = 0;  ///< 0: as the image is
  std::vector<float> mean, std;   ///< one a channel
  bool pooled = false, flip = false, shift = false;
  bool bicubic = false;      ///< resize as Hugging Face's processors do; else bilinear, not rounded
  bool centre_crop = false;  ///< bicubic: the shorter side is resized, then the middle is cut out
  bool whole_patches =
      false;  ///< pixels right and below that fill no patch are left out, as a convolution does
};

/// A number, or one a channel; 0.5 when the key is absent.
std::vector<float> values_per_channel(const Json& keys, const char* key, int64_t channels);

/// Sets pooled, flip and shift from the keys "tokens" and "augment".
void read_image_choices(const Json& keys, ImageSettings& settings);

/// Keys that encoders of other layouts share: mean, std, tokens, augment.
Keys image_choice_keys();
/// mean and std of the right number, std above 0; throws ConfigError that starts with `where`.
void check_image_choices(const Json& keys, int64_t channels, const std::string& where);

/// What a directory says of its image processor: processor_config.json (transformers 5), else preprocessor_config.json.
std::optional<ConfigReader> image_processor_config(const std::filesystem::path& directory);

/// mean and std from a directory's image processor; an empty object where it says nothing. Throws ConfigError on a
/// resize or a scale that we do not do.
Json read_image_normalisation(const std::filesystem::path& directory);

/// The same of CLIP's processor, for squares of `side` pixels; also "resize", crop or stretch. Throws ConfigError, too,
/// where the squares would be others.
Json read_image_crop(const std::filesystem::path& directory, int64_t side);

}  // namespace veomni
