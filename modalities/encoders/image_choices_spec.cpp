#include "modalities/encoders/image_choices_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/hugging_face/config_reader.h"

namespace veomni {
namespace {

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

/// mean and std, where it says so; every other step must be ours.
Json read_normalisation(ConfigReader& reader) {
  for (const char* step : {"do_resize", "do_rescale", "do_normalize"}) reader.expect(step, true);
  reader.expect("resample", 3);  // Pillow's number of bicubic
  const double scale = reader.number("rescale_factor", 1 / 255.0);
  if (std::abs(scale * 255 - 1) > 1e-6) reader.fail("rescale_factor", "must be 1/255");
  Json keys = Json::object();
  for (const auto& [theirs, ours] :
       {std::pair{"image_mean", "mean"}, std::pair{"image_std", "std"}})
    if (const Json value = reader.get(theirs); !value.is_null()) keys[ours] = value;
  return keys;
}

/// {"shortest_edge": …} or {"height": …, "width": …}. Old directories have a number; 224 is CLIPImageProcessor's default.
Json size_object(ConfigReader& reader, const char* key, bool square) {
  Json value = reader.get(key);
  if (value.is_null()) value = 224;
  if (value.is_number())
    return square ? Json{{"height", value}, {"width", value}} : Json{{"shortest_edge", value}};
  Json size = Json::object();
  for (const auto& [name, side] : value.items())
    if (!side.is_null()) size[name] = side;
  return size;
}

}  // namespace

std::vector<float> values_per_channel(const Json& keys, const char* key, int64_t channels) {
  const auto found = keys.find(key);
  if (found == keys.end() || found->is_null())
    return std::vector<float>(static_cast<size_t>(channels), 0.5F);
  if (found->is_number())
    return std::vector<float>(static_cast<size_t>(channels), found->get<float>());
  return found->get<std::vector<float>>();
}

void read_image_choices(const Json& keys, ImageSettings& settings) {
  settings.pooled = keys.value("tokens", std::string("patches")) == "pooled";
  const std::string augment = keys.value("augment", std::string("none"));
  settings.flip = augment.starts_with("flip");
  settings.shift = augment.ends_with("shift");
}

Keys image_choice_keys() {
  using Type = Key::Type;
  return {{.name = "mean",
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

void check_image_choices(const Json& keys, int64_t channels, const std::string& where) {
  check_per_channel(keys, "mean", channels, where);
  check_per_channel(keys, "std", channels, where);
  for (const float value : values_per_channel(keys, "std", channels))
    require<ConfigError>(value > 0, "{}.std: is {}; must be above 0", where, value);
}

std::optional<ConfigReader> image_processor_config(const std::filesystem::path& directory) {
  if (const auto file = directory / "processor_config.json"; std::filesystem::exists(file))
    if (ConfigReader whole(file); !whole.get("image_processor").is_null())
      return ConfigReader(whole, "image_processor");
  const auto file = directory / "preprocessor_config.json";
  if (!std::filesystem::exists(file)) return std::nullopt;
  return ConfigReader(file);
}

Json read_image_normalisation(const std::filesystem::path& directory) {
  auto reader = image_processor_config(directory);
  return reader ? read_normalisation(*reader) : Json::object();
}

Json read_image_crop(const std::filesystem::path& directory, int64_t side) {
  auto reader = image_processor_config(directory);
  if (!reader) return Json::object();
  for (const auto& [key, only] : {std::pair{"do_center_crop", true}, std::pair{"do_pad", false},
                                  std::pair{"use_square_size", false}})
    reader->expect(key, only);
  const Json square{{"height", side}, {"width", side}}, shortest{{"shortest_edge", side}};
  const bool by_square = reader->flag("default_to_square", false);
  const Json size = size_object(*reader, "size", by_square);
  const auto check = [&](bool known, const char* key) {
    if (!known)
      reader->fail(key, fmt::format("{} is not supported; the encoder takes images of {} x {}",
                                    json_excerpt(reader->get(key)), side, side));
  };
  check(size == shortest || size == square, "size");
  check(size_object(*reader, "crop_size", true) == square, "crop_size");
  Json keys = read_normalisation(*reader);
  keys["resize"] = size == square ? "stretch" : "crop";
  return keys;
}

}  // namespace veomni
