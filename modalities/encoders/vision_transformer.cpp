// Pretrained Vision Transformers over images of one size: SigLIP's (Zhai et al. 2023, arXiv:2303.15343) and CLIP's
// (Radford et al. 2021, arXiv:2103.00020), as transformers' SiglipVisionModel and CLIPVisionModel. What tells them apart
// is a VisionVariant (vision_transformer_spec.h).
// P patches of an image, T its tokens (P, or P + 1 with a class token), n images, W width of the encoder, N heads,
// H head size
#include "modalities/encoders/vision_transformer.h"

#include <ATen/ATen.h>

#include "kernels/activation.h"
#include "kernels/linear.h"
#include "kernels/norm.h"
#include "modalities/encoders/token_keys.h"
#include "modalities/encoders/vision_transformer_spec.h"

namespace veomni {
namespace {

class VisionTransformer : public Encoder {
 public:
  VisionTransformer(const PartConfig& config, BuildContext& context)
      : VisionTransformer(config, context, describe_vision_transformer(config, context.sizes)) {}

  at::Tensor lm_encode(const EncoderInput& input, const Pass& pass) override {
    auto weights = root_.enter();
    const auto patches = input.arrays[0].to(weights[0].options());
    const int64_t images = patches.size(0) / patches_;
    Stream stream{embed(weights, patches, images), {}};
    const TokenRow row{
        {}, at::arange(0, images * tokens_ + 1, tokens_, at::kInt), row_keys(input, images)};
    for (auto& block : blocks_) stream = block->forward(stream, row, pass, nullptr);
    const auto features =
        pooled_ ? pool(weights, stream, images, pass) : patch_states(weights, stream, images, pass);
    return weights.leave(kernels::linear(features, weights[at_.projector], {}));
  }

  std::vector<Unit*> units() override { return units_of(blocks_, {&root_}); }

 private:
  VisionTransformer(const PartConfig& config, BuildContext& context,
                    const std::vector<UnitSpec>& specs)
      : block_(vision_block_config(config)),
        at_(vision_root(specs[0])),
        patches_(vision_patches(config)),
        tokens_(vision_tokens(config)),
        pooled_(config.keys.at("tokens") == "pooled"),
        root_(specs[0].name, specs[0].parameters, context.parallel),
        blocks_(make_blocks(specs, block_, context.parallel)) {}

  bool has_class_token() const { return tokens_ > patches_; }

  at::Tensor row_keys(const EncoderInput& input, int64_t images) const {
    const auto& keys = input.noise_keys;
    if (pooled_) return spread_keys(keys, at::full({images}, tokens_, at::kLong));
    if (!has_class_token()) return keys;
    const auto of_patches = keys.view({images, patches_});
    const auto of_class =
        spread_keys(of_patches.select(1, 0).contiguous(), at::ones({images}, at::kLong));
    return at::cat({of_class.view({images, 1}), of_patches}, 1).view({-1});
  }

  /// patches [n P, C p²] → [n T, W]
  at::Tensor embed(const UnitUse& weights, const at::Tensor& patches, int64_t images) const {
    const int64_t W = block_.hidden_size;
    const auto bias =
        at_.patch_bias == VisionRoot::kAbsent ? at::Tensor() : weights[at_.patch_bias];
    auto rows = kernels::linear(patches, weights[at_.patch], bias).view({images, patches_, W});
    if (has_class_token())
      rows = at::cat({weights[at_.class_token].expand({images, 1, W}), rows}, 1);
    const auto sum = (rows + weights[at_.positions]).view({images * tokens_, W});
    if (at_.pre_norm.weight == VisionRoot::kAbsent) return sum;
    return kernels::layer_norm(sum, weights[at_.pre_norm.weight], weights[at_.pre_norm.bias],
                               block_.norm_eps);
  }

  at::Tensor last_norm(const UnitUse& weights, const Stream& stream) const {
    return add_norm(stream, weights[at_.norm.weight], weights[at_.norm.bias], block_.norm_eps)
        .second;
  }

  /// → [n P, W], transformers' last_hidden_state without the class token
  at::Tensor patch_states(const UnitUse& weights, const Stream& stream, int64_t images,
                          const Pass& pass) const {
    const bool normed = at_.norm.weight != VisionRoot::kAbsent;
    const auto states = normed                    ? last_norm(weights, stream)
                        : stream.branch.defined() ? stream.sum + stream.branch
                                                  : stream.sum;
    pass.look(root_.name() + ".last_hidden_state", states);
    if (!has_class_token()) return states;
    const int64_t W = block_.hidden_size;
    return states.view({images, tokens_, W}).slice(1, 1).reshape({images * patches_, W});
  }

  /// → [n, W], transformers' pooler_output
  at::Tensor pool(const UnitUse& weights, const Stream& stream, int64_t images,
                  const Pass& pass) const {
    if (!has_class_token()) {
      const auto states = last_norm(weights, stream);
      pass.look(root_.name() + ".last_hidden_state", states);
      return attend_with_probe(weights, states, images);
    }
    const auto first = [&](const at::Tensor& x) {
      return x.defined() ? x.view({images, tokens_, -1}).select(1, 0).contiguous() : x;
    };
    return last_norm(weights, {first(stream.sum), first(stream.branch)});
  }

  /// states [n P, W] → [n, W]: a learned query attends over each image (Lee et al. 2019, arXiv:1810.00825), then
  /// h + mlp(layernorm(h)).
  at::Tensor attend_with_probe(const UnitUse& weights, const at::Tensor& states,
                               int64_t images) const {
    const int64_t W = states.size(1), N = block_.num_attention_heads, H = block_.head_dim;
    const auto& in = weights[at_.in_proj.weight];
    const auto& bias = weights[at_.in_proj.bias];
    const auto query =
        kernels::linear(weights[at_.probe], in.narrow(0, 0, W), bias.narrow(0, 0, W));
    const auto key_value = kernels::linear(states, in.narrow(0, W, 2 * W), bias.narrow(0, W, 2 * W))
                               .view({images, patches_, 2, N, H})
                               .permute({2, 0, 3, 1, 4});  // [2, n, N, P, H]
    const auto queries = query.view({1, N, 1, H}).expand({images, N, 1, H});
    const auto mixed = at::scaled_dot_product_attention(queries, key_value[0], key_value[1])
                           .reshape({images, W})
                           .contiguous();
    const auto h = linear(mixed, weights, at_.out_proj);
    const auto normed = kernels::layer_norm(h, weights[at_.head_norm.weight],
                                            weights[at_.head_norm.bias], block_.norm_eps);
    const auto up = linear(normed, weights, at_.fc1);
    return h + linear(kernels::activate(up, block_.activation), weights, at_.fc2);
  }

  static at::Tensor linear(const at::Tensor& x, const UnitUse& weights, VisionRoot::Place place) {
    return kernels::linear(x, weights[place.weight], weights[place.bias]);
  }

  BlockConfig block_;
  VisionRoot at_;
  int64_t patches_, tokens_;
  bool pooled_;
  Unit root_;
  Blocks blocks_;
};

}  // namespace

std::unique_ptr<Encoder> make_siglip(const PartConfig& config, BuildContext& context) {
  return std::make_unique<VisionTransformer>(config, context);
}

std::unique_ptr<Encoder> make_clip(const PartConfig& config, BuildContext& context) {
  return std::make_unique<VisionTransformer>(config, context);
}

}  // namespace veomni
