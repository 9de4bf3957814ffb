// Whisper's encoder (Radford et al. 2022, arXiv:2212.04356), as transformers' WhisperEncoder: every window is encoded whole,
// its padding too, and the outputs that hold sound go on.
// n windows, M mel bins, S positions of a window, W width of the encoder, D hidden size of the base model
#include "modalities/encoders/audio.h"

#include <ATen/ATen.h>

#include "kernels/linear.h"
#include "modalities/encoders/audio_spec.h"
#include "modalities/encoders/token_keys.h"

namespace veomni {
namespace {

class AudioEncoder : public Encoder {
 public:
  AudioEncoder(const PartConfig& config, BuildContext& context)
      : AudioEncoder(config, context, describe_audio(config, context.sizes)) {}

  at::Tensor lm_encode(const EncoderInput& input, const Pass& pass) override {
    auto weights = root_.enter();
    const auto counts = input.arrays[1].cpu();
    Stream stream{embed(weights, input.arrays[0].to(weights[0].options())), {}};
    const int64_t windows = counts.size(0);
    const TokenRow row{{},
                       at::arange(0, windows * positions_ + 1, positions_, at::kInt),
                       window_keys(input, counts)};
    for (auto& block : blocks_) stream = block->forward(stream, row, pass, nullptr);
    const auto states =
        add_norm(stream, weights[AudioRoot::norm], weights[AudioRoot::norm_bias], block_.norm_eps)
            .second;
    pass.look(root_.name() + ".last_hidden_state", states);
    return weights.leave(kernels::linear(heard(states, counts), weights[AudioRoot::projector], {}));
  }

  std::vector<Unit*> units() override { return units_of(blocks_, {&root_}); }

 private:
  AudioEncoder(const PartConfig& config, BuildContext& context, const std::vector<UnitSpec>& specs)
      : block_(audio_block_config(config)),
        positions_(config.keys.at("max_source_positions").get<int64_t>()),
        pooled_(config.keys.at("tokens") == "pooled"),
        root_(specs[0].name, specs[0].parameters, context.parallel),
        blocks_(make_blocks(specs, block_, context.parallel)) {}

  /// features [n, M, 2 S] → [n S, W]; the position table carries no gradient.
  at::Tensor embed(const UnitUse& weights, const at::Tensor& features) const {
    using At = AudioRoot;
    const auto narrow =
        at::gelu(at::conv1d(features, weights[At::conv1], weights[At::conv1_bias], 1, 1));
    const auto halved =
        at::gelu(at::conv1d(narrow, weights[At::conv2], weights[At::conv2_bias], 2, 1));
    const auto x = halved.transpose(1, 2) + weights[At::positions].detach();
    return x.reshape({-1, block_.hidden_size}).contiguous();
  }

  /// The rows of sound [Σ counts, W], or the mean of each window's [n, W].
  at::Tensor heard(const at::Tensor& states, const at::Tensor& counts) const {
    const auto windows = states.view({-1, positions_, states.size(1)});
    const auto mask = at::arange(positions_).unsqueeze(0) < counts.unsqueeze(1);  // [n, S]
    if (!pooled_)
      return states.index_select(0, mask.view({-1}).nonzero().squeeze(1).to(states.device()));
    const auto share = mask.to(at::kDouble) / counts.unsqueeze(1);
    return (windows * share.to(states.options()).unsqueeze(2)).sum(1);
  }

  /// Noise keys of all S rows of every window, made of the key of the window's first token.
  at::Tensor window_keys(const EncoderInput& input, const at::Tensor& counts) const {
    const auto first =
        pooled_ ? input.noise_keys : input.noise_keys.index_select(0, counts.cumsum(0) - counts);
    return spread_keys(first, at::full({counts.size(0)}, positions_, at::kLong));
  }

  BlockConfig block_;
  int64_t positions_;
  bool pooled_;
  Unit root_;
  Blocks blocks_;
};

}  // namespace

std::unique_ptr<Encoder> make_audio(const PartConfig& config, BuildContext& context) {
  return std::make_unique<AudioEncoder>(config, context);
}

}  // namespace veomni
