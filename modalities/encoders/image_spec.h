#pragma once

#include "core/recipe/spec.h"
#include "modalities/base/block_spec.h"

namespace veomni {

BlockConfig image_block_config(const PartConfig& config);

/// Unit 0: patch_embed weight [W, C·p²] and bias, norm, projector [D, W]; then one unit a block.
std::vector<UnitSpec> describe_image(const PartConfig& config, const BaseSizes& sizes);

}  // namespace veomni
