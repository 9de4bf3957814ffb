// Vision Transformer (Dosovitskiy et al. 2021, arXiv:2010.11929) over packed patches: images of any size share a row and
// do not see one another. P patches, W width of the encoder, D hidden size of the base model
#include "modalities/encoders/image.h"

#include <ATen/ATen.h>

#include <cmath>

#include "kernels/linear.h"
#include "modalities/encoders/image_spec.h"
#include "modalities/encoders/token_keys.h"

namespace veomni {
namespace {

/// Fixed sine-cosine embedding of (row, column) (as in MAE, arXiv:2111.06377, appendix A.1): half of W for each.
at::Tensor grid_positions(const at::Tensor& grids, int64_t width) {
  const auto* grid = grids.const_data_ptr<int64_t>();
  int64_t patches = 0;
  for (int64_t i = 0; i < grids.size(0); ++i) patches += grid[2 * i] * grid[2 * i + 1];
  auto table = at::empty({patches, width}, at::kFloat);
  auto* out = table.mutable_data_ptr<float>();
  const int64_t quarter = width / 4;
  const auto write = [&](double place, float* half) {
    for (int64_t k = 0; k < quarter; ++k) {
      const double angle =
          place / std::pow(10000.0, static_cast<double>(k) / static_cast<double>(quarter));
      half[k] = static_cast<float>(std::sin(angle));
      half[quarter + k] = static_cast<float>(std::cos(angle));
    }
  };
  for (int64_t i = 0; i < grids.size(0); ++i) {
    for (int64_t row = 0; row < grid[2 * i]; ++row) {
      for (int64_t column = 0; column < grid[2 * i + 1]; ++column, out += width) {
        write(static_cast<double>(row), out);
        write(static_cast<double>(column), out + 2 * quarter);
      }
    }
  }
  return table;
}

at::Tensor image_bounds(const at::Tensor& grids) {
  const auto* grid = grids.const_data_ptr<int64_t>();
  auto bounds = at::zeros({grids.size(0) + 1}, at::kInt);
  auto* out = bounds.mutable_data_ptr<int32_t>();
  for (int64_t i = 0; i < grids.size(0); ++i) {
    out[i + 1] = out[i] + static_cast<int32_t>(grid[2 * i] * grid[2 * i + 1]);
  }
  return bounds;
}

/// Mean of each image's rows: [P, W] → [images, W].
at::Tensor pool_images(const at::Tensor& x, const at::Tensor& bounds) {
  const auto lengths = bounds.diff().to(at::kLong);
  const auto image = at::repeat_interleave(lengths).to(x.device());
  const auto scale = (1.0 / lengths.to(at::kDouble)).to(x.options()).index_select(0, image);
  const auto zeros = at::zeros({bounds.size(0) - 1, x.size(1)}, x.options());
  return zeros.index_add(0, image, x * scale.unsqueeze(1));
}

class ImageEncoder : public Encoder {
 public:
  ImageEncoder(const PartConfig& config, BuildContext& context)
      : units_spec_(describe_image(config, context.sizes)),
        pooled_(config.keys.at("tokens") == "pooled"),
        eps_(image_block_config(config).norm_eps),
        root_(units_spec_[0].name, units_spec_[0].parameters, context.parallel),
        blocks_(make_blocks(units_spec_, image_block_config(config), context.parallel)) {}

  at::Tensor lm_encode(const EncoderInput& input, const Pass& pass) override {
    auto weights = root_.enter();
    const auto grids = input.arrays[1].cpu();
    const auto patches = input.arrays[0].to(weights[0].options());
    const auto x = kernels::linear(patches, weights[0], weights[1]) +
                   positions(grids, weights[0].size(0)).to(weights[0].options());
    const TokenRow row{{}, image_bounds(grids), patch_keys(input)};
    Stream stream{x, {}};
    for (auto& block : blocks_) stream = block->forward(stream, row, pass, nullptr);
    const auto normed = add_norm(stream, weights[2], {}, eps_).second;
    const auto features = pooled_ ? pool_images(normed, row.cu_seqlens) : normed;
    return weights.leave(kernels::linear(features, weights[3], {}));
  }

  std::vector<Unit*> units() override { return units_of(blocks_, {&root_}); }

 private:
  /// Noise keys of the patches: those of their own tokens, or, pooled, of the image's one token and the patch's number.
  at::Tensor patch_keys(const EncoderInput& input) const {
    if (!pooled_) return input.noise_keys;
    return spread_keys(input.noise_keys, input.arrays[1].prod(1));
  }

  /// Data sets mostly hold one size: the table of the last grid sizes is kept.
  at::Tensor positions(const at::Tensor& grids, int64_t width) {
    if (!last_grids_.defined() || !last_grids_.equal(grids)) {
      last_positions_ = grid_positions(grids, width);
      last_grids_ = grids.clone();
    }
    return last_positions_;
  }

  std::vector<UnitSpec> units_spec_;
  bool pooled_;
  double eps_;
  Unit root_;
  Blocks blocks_;
  at::Tensor last_grids_, last_positions_;
};

}  // namespace

std::unique_ptr<Encoder> make_image(const PartConfig& config, BuildContext& context) {
  return std::make_unique<ImageEncoder>(config, context);
}

}  // namespace veomni
