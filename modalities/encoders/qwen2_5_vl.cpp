// Qwen2.5-VL's vision encoder (Bai et al. 2025, arXiv:2502.13923), as transformers'
// Qwen2_5_VisionTransformerPretrainedModel: attention within windows, in some blocks over the whole frame, rotary
// positions of rows and columns, then each merge² patches become one token.
// P patches, B = P / merge² tokens, W width of the encoder, D hidden size of the base model
#include "modalities/encoders/qwen2_5_vl.h"

#include <ATen/ATen.h>

#include <set>

#include "kernels/linear.h"
#include "kernels/norm.h"
#include "modalities/encoders/qwen2_5_vl_spec.h"
#include "modalities/encoders/token_keys.h"
#include "modalities/encoders/vision_windows.h"

namespace veomni {
namespace {

class Qwen25VlEncoder : public Encoder {
 public:
  Qwen25VlEncoder(const PartConfig& config, BuildContext& context)
      : Qwen25VlEncoder(config, context, describe_qwen2_5_vl(config, context.sizes)) {}

  at::Tensor lm_encode(const EncoderInput& input, const Pass& pass) override {
    auto weights = root_.enter();
    const auto plan = vision_windows(input.arrays[1].cpu(), merge_, window_);
    const auto patches = input.arrays[0].to(weights[0].options());
    const auto order = plan.order.to(patches.device()), inverse = plan.inverse.to(patches.device());
    const auto embedded = kernels::linear(patches, weights[Qwen25VlRoot::patch], {});
    TokenRow row{plan.positions.to(patches.device()), {}, patch_keys(input, plan)};
    Stream stream{by_block(embedded).index_select(0, order).view(embedded.sizes()), {}};
    for (size_t i = 0; i < blocks_.size(); ++i) {
      row.cu_seqlens = full_.contains(static_cast<int64_t>(i)) ? plan.frames : plan.windows;
      stream = blocks_[i]->forward(stream, row, pass, nullptr);
    }
    const auto embeds = merge(weights, stream).index_select(0, inverse);
    pass.look(root_.name() + ".image_embeds", embeds);
    return weights.leave(projected_ ? kernels::linear(embeds, weights[Qwen25VlRoot::projector], {})
                                    : embeds);
  }

  std::vector<Unit*> units() override { return units_of(blocks_, {&root_}); }

 private:
  Qwen25VlEncoder(const PartConfig& config, BuildContext& context,
                  const std::vector<UnitSpec>& specs)
      : block_(qwen2_5_vl_block_config(config)),
        merge_(config.keys.at("spatial_merge_size").get<int64_t>()),
        window_(config.keys.at("window_size").get<int64_t>() / merge_ /
                config.keys.at("patch_size").get<int64_t>()),
        full_(config.keys.at("fullatt_block_indexes").get<std::set<int64_t>>()),
        projected_(specs[0].parameters.size() > Qwen25VlRoot::projector),
        root_(specs[0].name, specs[0].parameters, context.parallel),
        blocks_(make_blocks(specs, block_, context.parallel)) {}

  /// [P, W] → [B, merge² W]
  at::Tensor by_block(const at::Tensor& x) const {
    return x.view({-1, merge_ * merge_ * block_.hidden_size});
  }

  at::Tensor merge(const UnitUse& weights, const Stream& stream) const {
    using At = Qwen25VlRoot;
    const auto normed = add_norm(stream, weights[At::merger_norm], {}, block_.norm_eps).second;
    const auto up =
        kernels::linear(by_block(normed), weights[At::merger_up], weights[At::merger_up_bias]);
    return kernels::linear(at::gelu(up), weights[At::merger_down], weights[At::merger_down_bias]);
  }

  /// Noise keys of the patches, in the windows' order.
  at::Tensor patch_keys(const EncoderInput& input, const VisionWindows& plan) const {
    return spread_keys(input.noise_keys.index_select(0, plan.order),
                       at::full_like(plan.order, merge_ * merge_));
  }

  BlockConfig block_;
  int64_t merge_, window_;
  std::set<int64_t> full_;
  bool projected_;
  Unit root_;
  Blocks blocks_;
};

}  // namespace

std::unique_ptr<Encoder> make_qwen2_5_vl(const PartConfig& config, BuildContext& context) {
  return std::make_unique<Qwen25VlEncoder>(config, context);
}

}  // namespace veomni
