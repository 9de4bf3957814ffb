#include "modalities/encoders/image_preprocess_spec.h"

#include <algorithm>
#include <cmath>

#include "core/data/random.h"
#include "core/data/resize.h"
#include "core/error.h"

namespace veomni {
namespace {

ImageSettings read_settings(const Json& keys) {
  ImageSettings settings;
  settings.patch = keys.at("patch_size").get<int64_t>();
  settings.channels = keys.value("channels", int64_t{3});
  settings.max_patches = keys.value("max_patches", int64_t{1024});
  settings.mean = values_per_channel(keys, "mean", settings.channels);
  settings.std = values_per_channel(keys, "std", settings.channels);
  settings.bicubic = keys.value("resample", std::string("bilinear")) == "bicubic";
  read_image_choices(keys, settings);
  if (const auto size = keys.find("image_size"); size != keys.end() && !size->is_null()) {
    settings.height = size->at(0).get<int64_t>();
    settings.width = size->at(1).get<int64_t>();
  }
  return settings;
}

// Height × width × channels of floats in 0..255.
struct Canvas {
  int64_t height, width;
  std::vector<float> pixels;
};

struct Move {
  bool flip = false;
  int64_t down = 0, right = 0;
};

class ImagePreprocessor : public Preprocessor {
 public:
  explicit ImagePreprocessor(ImageSettings settings) : settings_(std::move(settings)) {}

  PartInput prepare(const Record& record, const SegmentConfig& segment,
                    uint64_t seed) const override {
    const Value* value = record.find(segment.field);
    PartInput input = empty();
    if (value != nullptr && std::holds_alternative<Image>(*value)) {
      add(std::get<Image>(*value), seed, input);
    } else {
      const auto* list = value != nullptr ? std::get_if<std::vector<Image>>(value) : nullptr;
      require<ConfigError>(list != nullptr && !list->empty(),
                           "{}: holds no image; give the path of one, or leave the record out",
                           segment.field);
      for (size_t i = 0; i < list->size(); ++i)
        add((*list)[i], seed == 0 ? 0 : mix_key({seed, i}), input);
    }
    input.token_count = input.arrays[settings_.pooled ? 1 : 0].shape[0];
    return input;
  }

  PartInput dummy() const override {
    PartInput input = empty();
    add(Image{1, 1, 1, {128}}, 0, input);
    input.token_count = input.arrays[settings_.pooled ? 1 : 0].shape[0];
    return input;
  }

 private:
  int64_t patch_values() const { return settings_.channels * settings_.patch * settings_.patch; }
  int64_t patches_along(int64_t side) const {
    return (side + (settings_.whole_patches ? 0 : settings_.patch - 1)) / settings_.patch;
  }

  PartInput empty() const {
    PartInput input;
    input.arrays.push_back({{0, patch_values()}, std::vector<float>()});
    input.arrays.push_back({{0, 2}, std::vector<int64_t>()});
    return input;
  }

  void add(const Image& image, uint64_t seed, PartInput& input) const {
    const Canvas canvas = fitted(convert(image));
    const int64_t rows = patches_along(canvas.height);
    const int64_t columns = patches_along(canvas.width);
    append_patches(canvas, draw_move(canvas, seed), std::get<0>(input.arrays[0].data));
    input.arrays[0].shape[0] += rows * columns;
    auto& grid = std::get<1>(input.arrays[1].data);
    grid.insert(grid.end(), {rows, columns});
    ++input.arrays[1].shape[0];
  }

  // The image with as many channels as the encoder takes.
  Image convert(const Image& image) const {
    if (image.channels == settings_.channels) return image;
    Image result{image.height, image.width, settings_.channels, {}};
    const size_t count = static_cast<size_t>(image.height * image.width);
    result.pixels.resize(count * static_cast<size_t>(settings_.channels));
    for (size_t i = 0; i < count; ++i) {
      if (settings_.channels == 3) {
        std::fill_n(result.pixels.begin() + static_cast<int64_t>(3 * i), 3, image.pixels[i]);
      } else {
        const uint8_t* rgb = image.pixels.data() + 3 * i;
        result.pixels[i] =
            static_cast<uint8_t>((299U * rgb[0] + 587U * rgb[1] + 114U * rgb[2] + 500U) / 1000U);
      }
    }
    return result;
  }

  // As CLIP's processor: the shorter side becomes that of the square, whose middle is cut out.
  Image crop(const Image& image) const {
    const int64_t side = settings_.height, shorter = std::min(image.height, image.width);
    const int64_t height = side * image.height / shorter, width = side * image.width / shorter;
    return resize_bicubic(image, height, width,
                          {(height - side) / 2, (width - side) / 2, side, side});
  }

  Canvas fitted(const Image& image) const {
    int64_t height = settings_.height > 0 ? settings_.height : image.height;
    int64_t width = settings_.width > 0 ? settings_.width : image.width;
    if (settings_.height == 0) shrink(height, width);
    const auto floats = [](const Image& x) {
      return std::vector<float>(x.pixels.begin(), x.pixels.end());
    };
    if (settings_.centre_crop) return {height, width, floats(crop(image))};
    if (height == image.height && width == image.width) return {height, width, floats(image)};
    return {height, width,
            settings_.bicubic ? floats(resize_bicubic(image, height, width))
                              : resize_bilinear(image, height, width)};
  }

  // Scales both sides down until the grid has at most max_patches.
  void shrink(int64_t& height, int64_t& width) const {
    const double h = static_cast<double>(height), w = static_cast<double>(width);
    const auto count = [&] { return patches_along(height) * patches_along(width); };
    const double area =
        static_cast<double>(settings_.max_patches * settings_.patch * settings_.patch);
    for (double scale = std::min(1.0, std::sqrt(area / (h * w))); count() > settings_.max_patches;
         scale *= 0.99) {
      height = std::max<int64_t>(1, static_cast<int64_t>(h * scale));
      width = std::max<int64_t>(1, static_cast<int64_t>(w * scale));
    }
  }

  Move draw_move(const Canvas& canvas, uint64_t seed) const {
    Move move;
    if (seed == 0) return move;
    const auto offset = [&](uint64_t purpose, int64_t side) {
      const int64_t most = std::max<int64_t>(1, side / 14);
      return static_cast<int64_t>(
                 below(mix_key({seed, purpose}), static_cast<uint64_t>(2 * most + 1))) -
             most;
    };
    move.flip = settings_.flip && (mix_key({seed, 1}) & 1) != 0;
    if (settings_.shift) move.down = offset(2, canvas.height), move.right = offset(3, canvas.width);
    return move;
  }

  // Normalises and cuts; pixels outside the canvas are zeros.
  void append_patches(const Canvas& canvas, const Move& move, std::vector<float>& out) const {
    const int64_t p = settings_.patch, channels = settings_.channels;
    const int64_t rows = patches_along(canvas.height), columns = patches_along(canvas.width);
    const size_t base = out.size();
    out.resize(base + static_cast<size_t>(rows * columns * patch_values()), 0.0F);
    for (int64_t y = 0; y < std::min(canvas.height, rows * p); ++y) {
      const int64_t from_y = y - move.down;
      if (from_y < 0 || from_y >= canvas.height) continue;
      for (int64_t x = 0; x < std::min(canvas.width, columns * p); ++x) {
        const int64_t straight = x - move.right;
        if (straight < 0 || straight >= canvas.width) continue;
        const int64_t from_x = move.flip ? canvas.width - 1 - straight : straight;
        const float* pixel = canvas.pixels.data() + (from_y * canvas.width + from_x) * channels;
        float* target =
            out.data() + base + ((y / p) * columns + x / p) * patch_values() + (y % p) * p + x % p;
        for (int64_t c = 0; c < channels; ++c) {
          const size_t i = static_cast<size_t>(c);
          target[c * p * p] = (pixel[c] / 255.0F - settings_.mean[i]) / settings_.std[i];
        }
      }
    }
  }

  const ImageSettings settings_;
};

}  // namespace

Keys image_preprocess_keys() {
  using Type = Key::Type;
  Keys keys{
      {.name = "patch_size",
       .type = Type::integer,
       .doc = "side of a square patch, pixels; required without from",
       .minimum = 1,
       .maximum = 1024},
      {.name = "channels",
       .type = Type::integer,
       .doc = "1: grey, 3: colour; images are converted",
       .default_value = 3,
       .minimum = 1,
       .maximum = 3},
      {.name = "image_size",
       .type = Type::array,
       .doc = "[height, width] in pixels that every image is resized to; left out: as they are"},
      {.name = "max_patches",
       .type = Type::integer,
       .doc = "patches of an image; larger images are made smaller",
       .default_value = 1024,
       .minimum = 1},
      {.name = "resample",
       .type = Type::string,
       .doc = "how images are resized",
       .default_value = "bilinear",
       .choices = {"bilinear", "bicubic"}}};
  const Keys choices = image_choice_keys();
  keys.insert(keys.end(), choices.begin(), choices.end());
  return keys;
}

void check_image_preprocess(const PartConfig& config, const std::string& where) {
  require<ConfigError>(config.keys.contains("patch_size"),
                       "{}: missing key 'patch_size' (side of a square patch, pixels)", where);
  const Json& keys = config.keys;
  const int64_t channels = keys.value("channels", int64_t{3});
  require<ConfigError>(channels == 1 || channels == 3, "{}.channels: is {}; must be 1 or 3", where,
                       channels);
  check_image_choices(keys, channels, where);
  const auto size = keys.find("image_size");
  if (size == keys.end() || size->is_null()) return;
  const bool pair = size->is_array() && size->size() == 2 && (*size)[0].is_number_integer() &&
                    (*size)[1].is_number_integer() && (*size)[0] > 0 && (*size)[1] > 0 &&
                    (*size)[0] <= 1 << 20 && (*size)[1] <= 1 << 20;
  require<ConfigError>(pair, "{}.image_size: must be [height, width] in pixels", where);
  const ImageSettings settings = read_settings(keys);
  const int64_t rows = (settings.height + settings.patch - 1) / settings.patch;
  const int64_t columns = (settings.width + settings.patch - 1) / settings.patch;
  require<ConfigError>(rows * columns <= settings.max_patches,
                       "{}.image_size: {}x{} gives {} patches, but max_patches is {}; raise "
                       "max_patches or patch_size",
                       where, settings.height, settings.width, rows * columns,
                       settings.max_patches);
}

std::unique_ptr<Preprocessor> make_image_preprocessor(const PartConfig& config) {
  check_image_preprocess(config, "model.encoders." + config.name);
  return make_image_preprocessor(read_settings(config.keys));
}

std::unique_ptr<Preprocessor> make_image_preprocessor(ImageSettings settings) {
  return std::make_unique<ImagePreprocessor>(std::move(settings));
}

}  // namespace veomni
