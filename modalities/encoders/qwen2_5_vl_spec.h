#pragma once

#include "core/recipe/spec.h"
#include "modalities/base/block_spec.h"

namespace veomni {

BlockConfig qwen2_5_vl_block_config(const PartConfig& config);

/// Places of unit 0's parameters. The projector is there where out_hidden_size is not the base model's hidden_size.
struct Qwen25VlRoot {
  enum : size_t {
    patch,
    merger_norm,
    merger_up,
    merger_up_bias,
    merger_down,
    merger_down_bias,
    projector
  };
};

/// Unit 0: patch embedding, merger, projector; then one unit a block.
std::vector<UnitSpec> describe_qwen2_5_vl(const PartConfig& config, const BaseSizes& sizes);

/// Keys from the vision_config of a Qwen2.5-VL model, and from its preprocessor_config.json where there is one.
PartFrom read_qwen2_5_vl(const std::filesystem::path& directory);

/// Field: one image, or a list of images of any sizes. Each is resized so that its sides are multiples of
/// patch_size · spatial_merge_size and its area lies within min_pixels … max_pixels (bicubic), and repeated
/// temporal_patch_size times. Arrays:
///   [0] pixel_values  f32 [P, channels · temporal_patch_size · patch_size²]: a row a patch, (channel, frame, y, x);
///                     image, block of spatial_merge_size² patches row by row, patch in its block row by row
///   [1] grid          i64 [images, 3]: frames (1), rows and columns of patches
/// token_count: P / spatial_merge_size².
std::unique_ptr<Preprocessor> make_qwen2_5_vl_preprocessor(const PartConfig& config);

}  // namespace veomni
