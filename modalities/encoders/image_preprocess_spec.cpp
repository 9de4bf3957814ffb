#include "modalities/encoders/image_preprocess_spec.h"

#include <algorithm>
#include <cmath>

#include "core/data/random.h"
#include "core/data/resize.h"
#include "core/error.h"

namespace veomni {
namespace {

struct Settings {
  int64_t patch = 0, channels = 3, max_patches = 1024;
  int64_t height = 0, width = 0;  ///< 0: as the image is
  std::vector<float> mean, std;
  bool pooled = false, flip = false, shift = false;
};

std::vector<float> per_channel(const Json& keys, const char* key, int64_t channels) {
  const auto found = keys.find(key);
  if (found == keys.end() || found->is_null())
    return std::vector<float>(static_cast<size_t>(channels), 0.5F);
  if (found->is_number())
    return std::vector<float>(static_cast<size_t>(channels), found->get<float>());
  return found->get<std::vector<float>>();
}

Settings read_settings(const Json& keys) {
  Settings settings;
  settings.patch = keys.at("patch_size").get<int64_t>();
  settings.channels = keys.value("channels", int64_t{3});
  settings.max_patches = keys.value("max_patches", int64_t{1024});
  settings.mean = per_channel(keys, "mean", settings.channels);
  settings.std = per_channel(keys, "std", settings.channels);
  settings.pooled = keys.value("tokens", std::string("patches")) == "pooled";
  const std::string augment = keys.value("augment", std::string("none"));
  settings.flip = augment.starts_with("flip");
  settings.shift = augment.ends_with("shift");
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
  explicit ImagePreprocessor(const PartConfig& config) : settings_(read_settings(config.keys)) {}

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
  static int64_t patches_along(int64_t side, int64_t patch) { return (side + patch - 1) / patch; }

  PartInput empty() const {
    PartInput input;
    input.arrays.push_back({{0, patch_values()}, std::vector<float>()});
    input.arrays.push_back({{0, 2}, std::vector<int64_t>()});
    return input;
  }

  void add(const Image& image, uint64_t seed, PartInput& input) const {
    const Canvas canvas = fit(convert(image));
    const int64_t rows = patches_along(canvas.height, settings_.patch);
    const int64_t columns = patches_along(canvas.width, settings_.patch);
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

  Canvas fit(const Image& image) const {
    int64_t height = settings_.height > 0 ? settings_.height : image.height;
    int64_t width = settings_.width > 0 ? settings_.width : image.width;
    if (settings_.height == 0) shrink(height, width);
    if (height != image.height || width != image.width)
      return {height, width, resize_bilinear(image, height, width)};
    return {height, width, std::vector<float>(image.pixels.begin(), image.pixels.end())};
  }

  // Scales both sides down until the grid has at most max_patches.
  void shrink(int64_t& height, int64_t& width) const {
    const double h = static_cast<double>(height), w = static_cast<double>(width);
    const auto count = [&] {
      return patches_along(height, settings_.patch) * patches_along(width, settings_.patch);
    };
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
    const int64_t rows = patches_along(canvas.height, p), columns = patches_along(canvas.width, p);
    const size_t base = out.size();
    out.resize(base + static_cast<size_t>(rows * columns * patch_values()), 0.0F);
    for (int64_t y = 0; y < canvas.height; ++y) {
      const int64_t from_y = y - move.down;
      if (from_y < 0 || from_y >= canvas.height) continue;
      for (int64_t x = 0; x < canvas.width; ++x) {
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

  Settings settings_;
};

void check_per_channel(const Json& keys, const char* key, int64_t channels,
                       const std::string& where) {
  const auto found = keys.find(key);
  if (found == keys.end() || found->is_null() || found->is_number()) return;
  const bool numbers =
      found->is_array() && found->size() == static_cast<size_t>(channels) &&
      std::all_of(found->begin(), found->end(), [](const Json& x) { return x.is_number(); });
  require<ConfigError>(numbers, "{}.{}: must be a number or a list of {} numbers, one a channel",
                       where, key, channels);
}

}  // namespace

Keys image_preprocess_keys() {
  using Type = Key::Type;
  return {
      {.name = "patch_size",
       .type = Type::integer,
       .doc = "side of a square patch, pixels",
       .required = true,
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
      {.name = "mean",
       .type = Type::any,
       .doc = "subtracted from pixels on the 0..1 scale; a number, or one a channel",
       .default_value = 0.5},
      {.name = "std",
       .type = Type::any,
       .doc = "divides after the mean; a number, or one a channel",
       .default_value = 0.5},
      {.name = "tokens",
       .type = Type::string,
       .doc = "one token a patch, or one an image",
       .default_value = "patches",
       .choices = {"patches", "pooled"}},
      {.name = "augment",
       .type = Type::string,
       .doc = "random changes of training images",
       .default_value = "none",
       .choices = {"none", "flip", "shift", "flip_shift"}}};
}

void check_image_preprocess(const PartConfig& config, const std::string& where) {
  const Json& keys = config.keys;
  const int64_t channels = keys.value("channels", int64_t{3});
  require<ConfigError>(channels == 1 || channels == 3, "{}.channels: is {}; must be 1 or 3", where,
                       channels);
  check_per_channel(keys, "mean", channels, where);
  check_per_channel(keys, "std", channels, where);
  for (const float value : per_channel(keys, "std", channels))
    require<ConfigError>(value > 0, "{}.std: is {}; must be above 0", where, value);
  const auto size = keys.find("image_size");
  if (size == keys.end() || size->is_null()) return;
  const bool pair = size->is_array() && size->size() == 2 && (*size)[0].is_number_integer() &&
                    (*size)[1].is_number_integer() && (*size)[0] > 0 && (*size)[1] > 0 &&
                    (*size)[0] <= 1 << 20 && (*size)[1] <= 1 << 20;
  require<ConfigError>(pair, "{}.image_size: must be [height, width] in pixels", where);
  const Settings settings = read_settings(keys);
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
  return std::make_unique<ImagePreprocessor>(config);
}

}  // namespace veomni
