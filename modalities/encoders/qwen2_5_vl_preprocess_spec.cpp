// Qwen2-VL's image preprocessing (Wang et al. 2024, arXiv:2409.12191), as transformers' Qwen2VLImageProcessor. No LibTorch.
#include <algorithm>
#include <cmath>

#include "core/data/preprocessor.h"
#include "core/data/resize.h"
#include "core/error.h"
#include "modalities/encoders/image_choices_spec.h"
#include "modalities/encoders/qwen2_5_vl_spec.h"

namespace veomni {
namespace {

struct Settings {
  int64_t patch = 0, merge = 0, frames = 0;
  double min_pixels = 0, max_pixels = 0;
  std::vector<float> mean, std;
};

Settings read_settings(const Json& keys) {
  return {.patch = keys.at("patch_size").get<int64_t>(),
          .merge = keys.at("spatial_merge_size").get<int64_t>(),
          .frames = keys.at("temporal_patch_size").get<int64_t>(),
          .min_pixels = keys.at("min_pixels").get<double>(),
          .max_pixels = keys.at("max_pixels").get<double>(),
          .mean = values_per_channel(keys, "mean", 3),
          .std = values_per_channel(keys, "std", 3)};
}

/// Python's round: ties to even.
double round_even(double x) { return std::nearbyint(x); }

class Qwen25VlPreprocessor : public Preprocessor {
 public:
  explicit Qwen25VlPreprocessor(const PartConfig& config) : settings_(read_settings(config.keys)) {
    if (config.keys.contains("vision_start_token_id"))
      boundary_ = std::pair(config.keys["vision_start_token_id"].get<int64_t>(),
                            config.keys["vision_end_token_id"].get<int64_t>());
  }

  std::optional<std::pair<int64_t, int64_t>> boundary_ids() const override { return boundary_; }

  PartInput prepare(const Record& record, const SegmentConfig& segment,
                    uint64_t /*seed*/) const override {
    const Value* value = record.find(segment.field);
    PartInput input = empty();
    if (value != nullptr && std::holds_alternative<Image>(*value)) {
      add(std::get<Image>(*value), segment.field, input);
      return input;
    }
    const auto* list = value != nullptr ? std::get_if<std::vector<Image>>(value) : nullptr;
    require<ConfigError>(list != nullptr && !list->empty(),
                         "{}: holds no image; give the path of one, or leave the record out",
                         segment.field);
    for (const Image& image : *list) add(image, segment.field, input);
    return input;
  }

  PartInput dummy() const override {
    PartInput input = empty();
    const int64_t side = settings_.patch * settings_.merge;
    append(Image{side, side, 3, std::vector<uint8_t>(static_cast<size_t>(side * side * 3), 128)},
           input);
    return input;
  }

 private:
  int64_t values() const { return 3 * settings_.frames * settings_.patch * settings_.patch; }

  PartInput empty() const {
    PartInput input;
    input.arrays.push_back({{0, values()}, std::vector<float>()});
    input.arrays.push_back({{0, 3}, std::vector<int64_t>()});
    return input;
  }

  void add(const Image& image, const std::string& field, PartInput& input) const {
    const double long_side = static_cast<double>(std::max(image.height, image.width)),
                 short_side = static_cast<double>(std::min(image.height, image.width));
    require<ConfigError>(long_side <= 200 * short_side,
                         "{}: an image of {} x {} pixels is too narrow; its sides may differ by a "
                         "factor of 200",
                         field, image.height, image.width);
    const auto [height, width] = fitting_size(image);
    append(resize_bicubic(in_colour(image), height, width), input);
  }

  /// "smart_resize" of Qwen2-VL.
  std::pair<int64_t, int64_t> fitting_size(const Image& image) const {
    const double unit = static_cast<double>(settings_.patch * settings_.merge);
    const double h = static_cast<double>(image.height), w = static_cast<double>(image.width);
    double height = round_even(h / unit) * unit, width = round_even(w / unit) * unit;
    if (height * width > settings_.max_pixels) {
      const double scale = std::sqrt(h * w / settings_.max_pixels);
      height = std::max(unit, std::floor(h / scale / unit) * unit);
      width = std::max(unit, std::floor(w / scale / unit) * unit);
    } else if (height * width < settings_.min_pixels) {
      const double scale = std::sqrt(settings_.min_pixels / (h * w));
      height = std::ceil(h * scale / unit) * unit;
      width = std::ceil(w * scale / unit) * unit;
    }
    return {std::max<int64_t>(1, static_cast<int64_t>(height)),
            std::max<int64_t>(1, static_cast<int64_t>(width))};
  }

  static Image in_colour(const Image& image) {
    if (image.channels == 3) return image;
    Image colour{image.height, image.width, 3, {}};
    for (const uint8_t grey : image.pixels) colour.pixels.insert(colour.pixels.end(), 3, grey);
    return colour;
  }

  void append(const Image& image, PartInput& input) const {
    const int64_t rows = image.height / settings_.patch, columns = image.width / settings_.patch;
    const int64_t merge = settings_.merge;
    auto& out = std::get<0>(input.arrays[0].data);
    for (int64_t block_row = 0; block_row < rows; block_row += merge)
      for (int64_t block_column = 0; block_column < columns; block_column += merge)
        for (int64_t row = block_row; row < block_row + merge; ++row)
          for (int64_t column = block_column; column < block_column + merge; ++column)
            append_patch(image, row, column, out);
    input.arrays[0].shape[0] += rows * columns;
    auto& grid = std::get<1>(input.arrays[1].data);
    grid.insert(grid.end(), {1, rows, columns});
    ++input.arrays[1].shape[0];
    input.token_count += rows * columns / (merge * merge);
    input.grids.push_back({1, rows / merge, columns / merge});
  }

  void append_patch(const Image& image, int64_t row, int64_t column,
                    std::vector<float>& out) const {
    const int64_t p = settings_.patch;
    for (size_t channel = 0; channel < 3; ++channel)
      for (int64_t frame = 0; frame < settings_.frames; ++frame)
        for (int64_t y = row * p; y < (row + 1) * p; ++y)
          for (int64_t x = column * p; x < (column + 1) * p; ++x) {
            const auto at = static_cast<size_t>((y * image.width + x) * 3) + channel;
            out.push_back(
                (static_cast<float>(image.pixels[at]) / 255.0F - settings_.mean[channel]) /
                settings_.std[channel]);
          }
  }

  const Settings settings_;
  std::optional<std::pair<int64_t, int64_t>> boundary_;
};

}  // namespace

std::unique_ptr<Preprocessor> make_qwen2_5_vl_preprocessor(const PartConfig& config) {
  return std::make_unique<Qwen25VlPreprocessor>(config);
}

}  // namespace veomni
