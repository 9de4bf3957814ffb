#pragma once
// Pretrained Vision Transformers over images of one size, described without LibTorch.

#include <string>
#include <vector>

#include "core/recipe/spec.h"
#include "modalities/base/block_spec.h"

namespace veomni {

/// What tells one type from another; a new one is a row of vision_variants(), a spec and a factory.
struct VisionVariant {
  /// In recipes; also the model_type of a whole model and, with "_vision_model" after it, of the encoder alone.
  const char* type;
  const char* name;
  const char* doc;
  /// A learned token before each image's patches is what is pooled; else a learned query attends over the patches.
  bool class_token;
  bool patch_bias;
  bool pre_norm;       ///< a norm between the positions and the blocks
  bool norms_patches;  ///< the last norm is of every token; else of what is pooled alone
  bool centre_crop;  ///< key "resize": the middle of an image, unless its sides are to be stretched
  // transformers' defaults
  int64_t patch_size;
  const char* hidden_act;
  double layer_norm_eps;
  Json mean, std;
  std::vector<std::string> other_tensors;  ///< PartSpec::other_tensors
};

const std::vector<VisionVariant>& vision_variants();
/// Throws Error when there is none of this type: recipes have been checked.
const VisionVariant& vision_variant(const std::string& type);
/// Null when a config.json with this model_type holds none of them.
const VisionVariant* find_vision_variant(const Json& model_type);

BlockConfig vision_block_config(const PartConfig& config);

/// Patches of every image: (image_size / patch_size)², rounded down as the convolution does.
int64_t vision_patches(const PartConfig& config);
/// Rows of every image in the blocks: its patches, and the class token where the type has one.
int64_t vision_tokens(const PartConfig& config);

/// Places of unit 0's parameters. probe and what follows is there with "tokens": "pooled" only.
struct VisionRoot {
  static constexpr size_t kAbsent = BlockParameters::kAbsent;
  using Place = BlockParameters::Place;
  size_t patch = kAbsent, patch_bias = kAbsent, class_token = kAbsent, positions = kAbsent,
         projector = kAbsent, probe = kAbsent;
  Place pre_norm, norm, in_proj, out_proj, head_norm, fc1, fc2;
};
VisionRoot vision_root(const UnitSpec& root);

/// Unit 0: patch embedding, class token, positions, norms, projector [D, W], the head that pools; then one unit a block.
std::vector<UnitSpec> describe_vision_transformer(const PartConfig& config, const BaseSizes& sizes);

/// Keys from the config.json of the encoder alone or of the whole model (Siglip 2 of fixed resolution too), and how its
/// image processor prepares images.
PartFrom read_vision_transformer(const VisionVariant& variant,
                                 const std::filesystem::path& directory);

}  // namespace veomni
