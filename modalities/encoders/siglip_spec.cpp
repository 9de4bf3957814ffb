#include "modalities/encoders/siglip_spec.h"

#include <fmt/format.h>

#include <cmath>

#include "core/error.h"
#include "core/hugging_face/config_reader.h"
#include "core/recipe/family.h"
#include "modalities/encoders/image_preprocess_spec.h"
#include "modalities/encoders/pieces_spec.h"
#include "modalities/specs.h"

namespace veomni {
namespace {

int64_t size_of(const PartConfig& config, const char* key) {
  return config.keys.at(key).get<int64_t>();
}

bool pooled(const PartConfig& config) { return config.keys.at("tokens") == "pooled"; }

// A parameter and the tensor of the directory it is.
struct Named {
  ParameterSpec parameter;
  std::string tensor;
  std::vector<int64_t> shape = {};
};

void add(UnitSpec& unit, const std::string& prefix, std::vector<Named> list) {
  for (Named& named : list) {
    named.parameter.name = prefix + named.parameter.name;
    if (!named.tensor.empty())
      name_piece(named.parameter, "vision_model." + named.tensor, named.shape);
    unit.parameters.push_back(std::move(named.parameter));
  }
}

void add_head(UnitSpec& root, const std::string& prefix, const PartConfig& config) {
  const int64_t W = size_of(config, "hidden_size"), F = size_of(config, "intermediate_size");
  const Init normal = Init::normal(config.keys.at("initializer_range").get<double>());
  const std::string attention = "head.attention.", mlp = "head.mlp.";
  add(root, prefix,
      {{{"head.probe", {1, W}, normal, false}, "head.probe", {1, 1, W}},
       {{attention + "in_proj_weight", {3 * W, W}, normal}, attention + "in_proj_weight"},
       {{attention + "in_proj_bias", {3 * W}, Init::zeros(), false}, attention + "in_proj_bias"},
       {{attention + "out_proj.weight", {W, W}, normal}, attention + "out_proj.weight"},
       {{attention + "out_proj.bias", {W}, Init::zeros(), false}, attention + "out_proj.bias"},
       {{"head.layernorm.weight", {W}, Init::ones(), false}, "head.layernorm.weight"},
       {{"head.layernorm.bias", {W}, Init::zeros(), false}, "head.layernorm.bias"},
       {{mlp + "fc1.weight", {F, W}, normal}, mlp + "fc1.weight"},
       {{mlp + "fc1.bias", {F}, Init::zeros(), false}, mlp + "fc1.bias"},
       {{mlp + "fc2.weight", {W, F}, normal}, mlp + "fc2.weight"},
       {{mlp + "fc2.bias", {W}, Init::zeros(), false}, mlp + "fc2.bias"}});
}

UnitSpec describe_root(const PartConfig& config, const BaseSizes& sizes) {
  const int64_t W = size_of(config, "hidden_size"), C = size_of(config, "num_channels"),
                p = size_of(config, "patch_size"), pixels = C * p * p;
  const Init normal = Init::normal(config.keys.at("initializer_range").get<double>());
  // Patch pixels have unit scale, so fan-in initialisation keeps the embeddings there too.
  const Init fan_in = Init::normal(1 / std::sqrt(static_cast<double>(pixels)));
  const std::string name = "encoders." + config.name;
  UnitSpec root{.name = name, .parameters = {}};
  add(root, name + ".",
      {{{"patch_embed.weight", {W, pixels}, fan_in},
        "embeddings.patch_embedding.weight",
        {W, C, p, p}},
       {{"patch_embed.bias", {W}, Init::zeros(), false}, "embeddings.patch_embedding.bias"},
       {{"position_embedding.weight", {siglip_patches(config), W}, normal, false},
        "embeddings.position_embedding.weight"},
       {{"norm.weight", {W}, Init::ones(), false}, "post_layernorm.weight"},
       {{"norm.bias", {W}, Init::zeros(), false}, "post_layernorm.bias"},
       {{"projector.weight", {sizes.hidden_size, W}, normal}, ""}});
  if (pooled(config)) add_head(root, name + ".", config);
  root.flops_per_token = 2.0 * static_cast<double>(W * (pixels + sizes.hidden_size));
  root.saved_bytes_per_token = 4.0 * static_cast<double>(pixels + 2 * W);
  return root;
}

void check_siglip(const PartConfig& config, const std::string& where) {
  const int64_t width = size_of(config, "hidden_size"),
                heads = size_of(config, "num_attention_heads");
  require<ConfigError>(width % (2 * heads) == 0,
                       "{}.num_attention_heads: hidden_size / heads = {} / {} must be even", where,
                       width, heads);
  require<ConfigError>(siglip_patches(config) > 0,
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
  settings.bicubic = settings.crop = true;
  read_image_choices(config.keys, settings);
  return make_image_preprocessor(std::move(settings));
}

Key size_key(const char* name, const char* doc, int64_t value, double maximum = 1 << 20) {
  return {.name = name,
          .type = Key::Type::integer,
          .doc = doc,
          .default_value = value,
          .minimum = 1,
          .maximum = maximum};
}

Keys siglip_keys() {
  Keys keys{from_key("SigLIP"),
            size_key("hidden_size", "width of the encoder", 768),
            size_key("intermediate_size", "width of each block's feed-forward layer", 3072),
            size_key("num_hidden_layers", "blocks", 12, 1024),
            size_key("num_attention_heads", "heads of each block", 12, 1024),
            size_key("num_channels", "1: grey, 3: colour; images are converted", 3, 3),
            size_key("image_size", "side in pixels that every image is resized to", 224, 16384),
            size_key("patch_size", "side of a square patch, pixels", 16, 1024),
            {.name = "hidden_act",
             .type = Key::Type::string,
             .doc = "activation of the feed-forward layers",
             .default_value = "gelu_pytorch_tanh",
             .choices = activation_names()},
            {.name = "layer_norm_eps",
             .type = Key::Type::number,
             .doc = "added to the variance in LayerNorm",
             .default_value = 1e-6,
             .minimum = 0,
             .exclusive_minimum = true},
            {.name = "initializer_range",
             .type = Key::Type::number,
             .doc = "standard deviation of fresh weights",
             .default_value = 0.02,
             .minimum = 0,
             .maximum = 10}};
  const Keys choices = image_choice_keys();
  keys.insert(keys.end(), choices.begin(), choices.end());
  return keys;
}

}  // namespace

BlockConfig siglip_block_config(const PartConfig& config) {
  const int64_t width = size_of(config, "hidden_size"),
                heads = size_of(config, "num_attention_heads");
  return {.hidden_size = width,
          .intermediate_size = size_of(config, "intermediate_size"),
          .num_attention_heads = heads,
          .num_key_value_heads = heads,
          .head_dim = width / heads,
          .norm = NormType::layer_norm,
          .norm_eps = config.keys.at("layer_norm_eps").get<double>(),
          .attention_bias = true,
          .attention_output_bias = true,
          .mlp_bias = true,
          .causal = false,
          .activation = activation_named(config.keys.at("hidden_act").get<std::string>()),
          .gated_mlp = false,
          .initializer_range = config.keys.at("initializer_range").get<double>(),
          .num_layers = size_of(config, "num_hidden_layers")};
}

int64_t siglip_patches(const PartConfig& config) {
  const int64_t side = size_of(config, "image_size") / size_of(config, "patch_size");
  return side * side;
}

std::vector<UnitSpec> describe_siglip(const PartConfig& config, const BaseSizes& sizes) {
  const BlockConfig block = siglip_block_config(config);
  std::vector<UnitSpec> units{describe_root(config, sizes)};
  for (int64_t layer = 0; layer < block.num_layers; ++layer) {
    units.push_back(describe_block(fmt::format("{}.blocks.{}.", units[0].name, layer), block));
    name_block_pieces(units.back(), block, fmt::format("vision_model.encoder.layers.{}.", layer),
                      {.input_norm = "layer_norm1",
                       .qkv = "",
                       .q = "self_attn.q_proj",
                       .k = "self_attn.k_proj",
                       .v = "self_attn.v_proj",
                       .output = "self_attn.out_proj",
                       .post_norm = "layer_norm2",
                       .gate = "",
                       .up = "mlp.fc1",
                       .down = "mlp.fc2"});
  }
  return units;
}

PartFrom read_siglip(const std::filesystem::path& directory) {
  ConfigReader whole(directory / "config.json");
  const Json type = whole.get("model_type");
  if (type != "siglip" && type != "siglip_vision_model")
    whole.fail("model_type", fmt::format("{} is not supported; siglip and siglip_vision_model are",
                                         json_excerpt(type)));
  ConfigReader reader = type == "siglip" ? ConfigReader(whole, "vision_config") : whole;
  PartFrom from;
  from.fixed = {{"type", "siglip"},
                {"hidden_size", reader.size("hidden_size", 768)},
                {"intermediate_size", reader.size("intermediate_size", 3072)},
                {"num_hidden_layers", reader.size("num_hidden_layers", 12)},
                {"num_attention_heads", reader.size("num_attention_heads", 12)},
                {"num_channels", reader.size("num_channels", 3)},
                {"image_size", reader.size("image_size", 224)},
                {"patch_size", reader.size("patch_size", 16)},
                {"layer_norm_eps", reader.number("layer_norm_eps", 1e-6)}};
  const Json act = reader.get("hidden_act");
  from.fixed["hidden_act"] = act.is_null() ? Json("gelu_pytorch_tanh") : act;
  reader.expect("attention_dropout", 0.0);
  reader.ignore({"vision_use_head", "initializer_factor"});
  reader.refuse_unknown();
  from.defaults = read_image_normalisation(directory);
  return from;
}

PartSpec siglip_spec() {
  PartSpec spec;
  spec.type = "siglip";
  spec.takes_field = true;
  spec.doc =
      "SigLIP's Vision Transformer (Zhai et al. 2023, arXiv:2303.15343) over images of one size";
  spec.keys = siglip_keys();
  spec.check = check_siglip;
  spec.describe = describe_siglip;
  spec.make_preprocessor = make_preprocessor;
  spec.read_directory = read_siglip;
  spec.other_tensors = {"text_model.", "logit_", "vision_model.head.",
                        "vision_model.embeddings.position_ids"};
  return spec;
}

}  // namespace veomni
