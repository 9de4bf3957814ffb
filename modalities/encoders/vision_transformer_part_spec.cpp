// Vision Transformers of images of one size as parts of a recipe: keys, checks, what their directories say.
#include <fmt/format.h>

#include "core/error.h"
#include "core/hugging_face/config_reader.h"
#include "core/recipe/family.h"
#include "modalities/encoders/image_preprocess_spec.h"
#include "modalities/encoders/pieces_spec.h"
#include "modalities/encoders/vision_transformer_spec.h"
#include "modalities/specs.h"

namespace veomni {
namespace {

void check_vision(const PartConfig& config, const std::string& where) {
  const int64_t width = size_of(config, "hidden_size"),
                heads = size_of(config, "num_attention_heads");
  require<ConfigError>(width % (2 * heads) == 0,
                       "{}.num_attention_heads: hidden_size / heads = {} / {} must be even", where,
                       width, heads);
  require<ConfigError>(vision_patches(config) > 0,
                       "{}.patch_size: {} is larger than image_size = {}; make it smaller", where,
                       size_of(config, "patch_size"), size_of(config, "image_size"));
  const int64_t channels = size_of(config, "num_channels");
  require<ConfigError>(channels == 1 || channels == 3, "{}.num_channels: is {}; must be 1 or 3",
                       where, channels);
  check_image_choices(config.keys, channels, where);
}

std::unique_ptr<Preprocessor> make_preprocessor(const PartConfig& config, const Json& /*tables*/) {
  ImageSettings settings;
  settings.patch = size_of(config, "patch_size");
  settings.channels = size_of(config, "num_channels");
  settings.height = settings.width = size_of(config, "image_size");
  settings.mean = values_per_channel(config.keys, "mean", settings.channels);
  settings.std = values_per_channel(config.keys, "std", settings.channels);
  settings.bicubic = settings.whole_patches = true;
  settings.centre_crop = config.keys.value("resize", std::string()) == "crop";
  read_image_choices(config.keys, settings);
  return make_image_preprocessor(std::move(settings));
}

Key resize_key() {
  return {.name = "resize",
          .type = Key::Type::string,
          .doc =
              "crop: the shorter side becomes image_size, the middle is cut out; stretch: both "
              "sides become image_size",
          .default_value = "crop",
          .choices = {"crop", "stretch"}};
}

Keys vision_keys(const VisionVariant& variant) {
  Keys keys{from_key(variant.name),
            size_key("hidden_size", "width of the encoder", 768),
            size_key("intermediate_size", "width of each block's feed-forward layer", 3072),
            size_key("num_hidden_layers", "blocks", 12, 1024),
            size_key("num_attention_heads", "heads of each block", 12, 1024),
            size_key("num_channels", "1: grey, 3: colour; images are converted", 3, 3),
            size_key("image_size", "side in pixels that every image is resized to", 224, 16384),
            size_key("patch_size", "side of a square patch, pixels", variant.patch_size, 1024),
            {.name = "hidden_act",
             .type = Key::Type::string,
             .doc = "activation of the feed-forward layers",
             .default_value = variant.hidden_act,
             .choices = activation_names()},
            {.name = "layer_norm_eps",
             .type = Key::Type::number,
             .doc = "added to the variance in LayerNorm",
             .default_value = variant.layer_norm_eps,
             .minimum = 0,
             .exclusive_minimum = true},
            {.name = "initializer_range",
             .type = Key::Type::number,
             .doc = "standard deviation of fresh weights",
             .default_value = 0.02,
             .minimum = 0,
             .maximum = 10}};
  if (variant.centre_crop) keys.push_back(resize_key());
  for (Key& key : image_choice_keys()) {
    if (key.name == "mean") key.default_value = variant.mean;
    if (key.name == "std") key.default_value = variant.std;
    keys.push_back(key);
  }
  return keys;
}

/// What transformers before version 5 wrote into the config of every model, an encoder of images too.
constexpr std::initializer_list<const char*> kOfTextModels = {"_attn_implementation_autoset",
                                                              "add_cross_attention",
                                                              "begin_suppress_tokens",
                                                              "cross_attention_hidden_size",
                                                              "decoder_start_token_id",
                                                              "diversity_penalty",
                                                              "do_sample",
                                                              "early_stopping",
                                                              "encoder_no_repeat_ngram_size",
                                                              "exponential_decay_length_penalty",
                                                              "finetuning_task",
                                                              "forced_bos_token_id",
                                                              "forced_eos_token_id",
                                                              "is_decoder",
                                                              "length_penalty",
                                                              "max_length",
                                                              "min_length",
                                                              "no_repeat_ngram_size",
                                                              "num_beam_groups",
                                                              "num_beams",
                                                              "num_return_sequences",
                                                              "output_scores",
                                                              "prefix",
                                                              "remove_invalid_values",
                                                              "repetition_penalty",
                                                              "return_dict_in_generate",
                                                              "sep_token_id",
                                                              "suppress_tokens",
                                                              "temperature",
                                                              "tf_legacy_loss",
                                                              "tie_encoder_decoder",
                                                              "tie_word_embeddings",
                                                              "top_k",
                                                              "top_p",
                                                              "torchscript",
                                                              "typical_p",
                                                              "use_bfloat16"};

/// The encoder's own object. Old CLIPs have it twice; transformers then takes vision_config_dict, with its defaults.
ConfigReader encoder_config(ConfigReader& whole, const VisionVariant& variant) {
  if (whole.get("model_type") != variant.type) return whole;
  const bool twice =
      variant.type == std::string("clip") && whole.get("vision_config_dict").is_object();
  return ConfigReader(whole, twice ? "vision_config_dict" : "vision_config");
}

PartSpec vision_spec(const VisionVariant& variant) {
  PartSpec spec;
  spec.type = variant.type;
  spec.takes_field = true;
  spec.doc = variant.doc;
  spec.keys = vision_keys(variant);
  spec.check = check_vision;
  spec.describe = describe_vision_transformer;
  spec.make_preprocessor = make_preprocessor;
  spec.read_directory = [&variant](const std::filesystem::path& directory) {
    return read_vision_transformer(variant, directory);
  };
  spec.other_tensors = variant.other_tensors;
  return spec;
}

}  // namespace

PartFrom read_vision_transformer(const VisionVariant& variant,
                                 const std::filesystem::path& directory) {
  ConfigReader whole(directory / "config.json");
  const Json type = whole.get("model_type");
  if (find_vision_variant(type) != &variant)
    whole.fail("model_type", fmt::format("{0} is not supported; {1} and {1}_vision_model are",
                                         json_excerpt(type), variant.type));
  ConfigReader reader = encoder_config(whole, variant);
  PartFrom from;
  from.fixed = {{"type", variant.type},
                {"hidden_size", reader.size("hidden_size", 768)},
                {"intermediate_size", reader.size("intermediate_size", 3072)},
                {"num_hidden_layers", reader.size("num_hidden_layers", 12)},
                {"num_attention_heads", reader.size("num_attention_heads", 12)},
                {"num_channels", reader.size("num_channels", 3)},
                {"image_size", reader.size("image_size", 224)},
                {"patch_size", reader.size("patch_size", variant.patch_size)},
                {"layer_norm_eps", reader.number("layer_norm_eps", variant.layer_norm_eps)}};
  const Json act = reader.get("hidden_act");
  from.fixed["hidden_act"] = act.is_null() ? Json(variant.hidden_act) : act;
  reader.expect("attention_dropout", 0.0);
  reader.expect("pruned_heads", Json::object());
  reader.ignore({"vision_use_head", "initializer_factor", "projection_dim", "dropout"});
  reader.ignore(kOfTextModels);
  reader.refuse_unknown();
  from.defaults = variant.centre_crop
                      ? read_image_crop(directory, from.fixed["image_size"].get<int64_t>())
                      : read_image_normalisation(directory);
  return from;
}

PartSpec siglip_spec() { return vision_spec(vision_variant("siglip")); }
PartSpec clip_spec() { return vision_spec(vision_variant("clip")); }

}  // namespace veomni
