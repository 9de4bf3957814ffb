// SigLIP's vision encoder (Zhai et al. 2023, arXiv:2303.15343), as transformers' SiglipVisionModel: last_hidden_state, or
// pooled by a learned query that attends over each image (Lee et al. 2019, arXiv:1810.00825).
// P patches of an image, n images, W width of the encoder, N heads, H head size, D hidden size of the base model
#include "modalities/encoders/siglip.h"

#include <ATen/ATen.h>

#include "kernels/activation.h"
#include "kernels/linear.h"
#include "kernels/norm.h"
#include "modalities/encoders/siglip_spec.h"
#include "modalities/encoders/token_keys.h"

namespace veomni {
namespace {

class SiglipEncoder : public Encoder {
 public:
  SiglipEncoder(const PartConfig& config, BuildContext& context)
      : SiglipEncoder(config, context, describe_siglip(config, context.sizes)) {}

  at::Tensor lm_encode(const EncoderInput& input, const Pass& pass) override {
    auto weights = root_.enter();
    const auto patches = input.arrays[0].to(weights[0].options());
    const int64_t images = patches.size(0) / patches_;
    const auto embedded =
        kernels::linear(patches, weights[SiglipRoot::patch], weights[SiglipRoot::patch_bias]);
    const auto positions = weights[SiglipRoot::positions];
    Stream stream{(embedded.view({images, patches_, -1}) + positions).view({-1, positions.size(1)}),
                  {}};
    const TokenRow row{{}, bounds(images), patch_keys(input, images)};
    for (auto& block : blocks_) stream = block->forward(stream, row, pass, nullptr);
    const auto states =
        add_norm(stream, weights[SiglipRoot::norm], weights[SiglipRoot::norm_bias], block_.norm_eps)
            .second;
    pass.look(root_.name() + ".last_hidden_state", states);
    const auto features = pooled_ ? pool(weights, states, images) : states;
    return weights.leave(kernels::linear(features, weights[SiglipRoot::projector], {}));
  }

  std::vector<Unit*> units() override {
    std::vector<Unit*> units{&root_};
    for (auto& block : blocks_)
      for (auto* unit : block->units()) units.push_back(unit);
    return units;
  }

 private:
  SiglipEncoder(const PartConfig& config, BuildContext& context, const std::vector<UnitSpec>& specs)
      : block_(siglip_block_config(config)),
        patches_(siglip_patches(config)),
        pooled_(config.keys.at("tokens") == "pooled"),
        root_(specs[0].name, specs[0].parameters, context.parallel) {
    for (size_t i = 1; i < specs.size(); ++i)
      blocks_.push_back(std::make_unique<Block>(specs[i], block_, context.parallel));
  }

  at::Tensor bounds(int64_t images) const {
    return at::arange(0, images * patches_ + 1, patches_, at::kInt);
  }

  at::Tensor patch_keys(const EncoderInput& input, int64_t images) const {
    if (!pooled_) return input.noise_keys;
    return spread_keys(input.noise_keys, at::full({images}, patches_, at::kLong));
  }

  /// states [n P, W] → [n, W]: the probe attends over each image, then h + mlp(layernorm(h)).
  at::Tensor pool(const UnitUse& weights, const at::Tensor& states, int64_t images) const {
    using At = SiglipRoot;
    const int64_t W = states.size(1), N = block_.num_attention_heads, H = block_.head_dim;
    const auto& in = weights[At::in_proj];
    const auto& bias = weights[At::in_bias];
    const auto query =
        kernels::linear(weights[At::probe], in.narrow(0, 0, W), bias.narrow(0, 0, W));
    const auto key_value = kernels::linear(states, in.narrow(0, W, 2 * W), bias.narrow(0, W, 2 * W))
                               .view({images, patches_, 2, N, H})
                               .permute({2, 0, 3, 1, 4});  // [2, n, N, P, H]
    const auto queries = query.view({1, N, 1, H}).expand({images, N, 1, H});
    const auto mixed = at::scaled_dot_product_attention(queries, key_value[0], key_value[1])
                           .reshape({images, W})
                           .contiguous();
    const auto h = kernels::linear(mixed, weights[At::out_proj], weights[At::out_bias]);
    const auto normed = kernels::layer_norm(h, weights[At::head_norm], weights[At::head_norm_bias],
                                            block_.norm_eps);
    const auto up = kernels::linear(normed, weights[At::fc1], weights[At::fc1_bias]);
    return h + kernels::linear(kernels::activate(up, block_.activation), weights[At::fc2],
                               weights[At::fc2_bias]);
  }

  BlockConfig block_;
  int64_t patches_;
  bool pooled_;
  Unit root_;
  std::vector<std::unique_ptr<Block>> blocks_;
};

}  // namespace

std::unique_ptr<Encoder> make_siglip(const PartConfig& config, BuildContext& context) {
  return std::make_unique<SiglipEncoder>(config, context);
}

}  // namespace veomni
