#pragma once
// What encoders of images share: how pixels become numbers, how many tokens, augmentation. No LibTorch.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/recipe/spec.h"

namespace veomni {

/// How images become patches (image_preprocess_spec.h); encoders fill it from their own keys.
struct ImageSettings {
  int64_t patch = 0, channels = 3, max_patches = 1024;
  int64_t height = 0, width = 0;  ///< 0: as the image is
  std::vector<float> mean, std;   ///< one a channel
  bool pooled = false, flip = false, shift = false;
  bool bicubic = false;  ///< resize as Hugging Face's processors do; else bilinear, not rounded
  bool crop =
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

/// mean and std from a directory's preprocessor_config.json; an empty object where it has none. Throws ConfigError on
/// a resize or a scale that we do not do.
Json read_image_normalisation(const std::filesystem::path& directory);

}  // namespace veomni
