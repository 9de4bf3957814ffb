#include "modalities/encoders/image_choices_spec.h"

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

Json read_image_normalisation(const std::filesystem::path& directory) {
  const auto file = directory / "preprocessor_config.json";
  if (!std::filesystem::exists(file)) return Json::object();
  ConfigReader reader(file);
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

}  // namespace veomni
