#pragma once

#include "core/recipe/spec.h"
#include "modalities/base/block_spec.h"

namespace veomni {

BlockConfig siglip_block_config(const PartConfig& config);

/// Patches of every image: (image_size / patch_size)², rounded down as the convolution does.
int64_t siglip_patches(const PartConfig& config);

/// Places of unit 0's parameters. The head is there with "tokens": "pooled" only.
struct SiglipRoot {
  enum : size_t { patch, patch_bias, positions, norm, norm_bias, projector, probe };
  enum : size_t { in_proj = probe + 1, in_bias, out_proj, out_bias, head_norm, head_norm_bias };
  enum : size_t { fc1 = head_norm_bias + 1, fc1_bias, fc2, fc2_bias };
};

/// Unit 0: patch embedding, positions, last norm, projector [D, W], the head that pools; then one unit a block.
std::vector<UnitSpec> describe_siglip(const PartConfig& config, const BaseSizes& sizes);

/// Keys from the config.json of a SiglipVisionModel or a whole SiglipModel (Siglip 2 of fixed resolution too), and
/// mean and std from its preprocessor_config.json where there is one.
PartFrom read_siglip(const std::filesystem::path& directory);

}  // namespace veomni
