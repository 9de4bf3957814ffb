#include "modalities/encoders/image_spec.h"

#include <fmt/format.h>

#include <cmath>

#include "core/error.h"
#include "core/hugging_face/config_reader.h"
#include "modalities/encoders/image_preprocess_spec.h"
#include "modalities/encoders/pieces_spec.h"
#include "modalities/encoders/qwen2_5_vl_spec.h"
#include "modalities/encoders/vision_transformer_spec.h"
#include "modalities/specs.h"

namespace veomni {

BlockConfig image_block_config(const PartConfig& config) {
  const auto width = config.keys.at("hidden_size").get<int64_t>();
  const auto heads = config.keys.at("num_attention_heads").get<int64_t>();
  auto intermediate = config.keys.at("intermediate_size").get<int64_t>();
  // Three matrices of 8/3 have the parameters of two of 4 (Touvron et al. 2023, arXiv:2302.13971, section 2.2).
  if (intermediate == 0) intermediate = (width * 8 / 3 + 7) / 8 * 8;
  return {.hidden_size = width,
          .intermediate_size = intermediate,
          .num_attention_heads = heads,
          .num_key_value_heads = heads,
          .head_dim = width / heads,
          .causal = false,
          .initializer_range = config.keys.at("initializer_range").get<double>(),
          .num_layers = config.keys.at("num_hidden_layers").get<int64_t>()};
}

std::vector<UnitSpec> describe_image(const PartConfig& config, const BaseSizes& sizes) {
  const auto& keys = config.keys;
  const auto width = keys.at("hidden_size").get<int64_t>();
  const auto patch = keys.at("patch_size").get<int64_t>();
  const int64_t pixels = keys.at("channels").get<int64_t>() * patch * patch;
  const Init normal = Init::normal(keys.at("initializer_range").get<double>());
  const std::string prefix = "encoders." + config.name;
  UnitSpec root{.name = prefix, .parameters = {}};
  // Patch pixels have unit scale, so fan-in initialisation keeps the embeddings there too.
  const Init fan_in = Init::normal(1 / std::sqrt(static_cast<double>(pixels)));
  root.parameters.push_back({prefix + ".patch_embed.weight", {width, pixels}, fan_in});
  root.parameters.push_back({prefix + ".patch_embed.bias", {width}, Init::zeros(), false});
  root.parameters.push_back({prefix + ".norm.weight", {width}, Init::ones(), false});
  root.parameters.push_back({prefix + ".projector.weight", {sizes.hidden_size, width}, normal});
  root.flops_per_token = 2.0 * static_cast<double>(width * (pixels + sizes.hidden_size));
  root.saved_bytes_per_token = 4.0 * static_cast<double>(pixels + 2 * width);
  std::vector<UnitSpec> units{root};
  for (int64_t layer = 0; layer < keys.at("num_hidden_layers").get<int64_t>(); ++layer) {
    units.push_back(
        describe_block(fmt::format("{}.blocks.{}.", prefix, layer), image_block_config(config)));
  }
  return units;
}

namespace {

void check_image(const PartConfig& config, const std::string& where) {
  check_image_preprocess(config, where);
  const auto width = config.keys.at("hidden_size").get<int64_t>();
  const auto heads = config.keys.at("num_attention_heads").get<int64_t>();
  require<ConfigError>(width % heads == 0,
                       "{}.num_attention_heads: {} must divide hidden_size = {}", where, heads,
                       width);
  require<ConfigError>(width % 4 == 0,
                       "{}.hidden_size: {} must be a multiple of 4 (two sines and two "
                       "cosines a position)",
                       where, width);
  require<ConfigError>((width / heads) % 2 == 0,
                       "{}.num_attention_heads: hidden_size / heads = {} must be even", where,
                       width / heads);
}

/// `"type": "image"` with "from" is the encoder that the directory holds.
PartFrom read_image_model(const std::filesystem::path& directory) {
  ConfigReader reader(directory / "config.json");
  const Json type = reader.get("model_type");
  if (const auto* variant = find_vision_variant(type); variant != nullptr)
    return read_vision_transformer(*variant, directory);
  if (type == "qwen2_5_vl") return read_qwen2_5_vl(directory);
  reader.fail("model_type",
              fmt::format("{} is not supported; siglip, clip (each also with _vision_model) and "
                          "qwen2_5_vl are",
                          json_excerpt(type)));
}

}  // namespace

PartSpec image_spec() {
  using Type = Key::Type;
  PartSpec spec;
  spec.type = "image";
  spec.takes_field = true;
  spec.doc = "a Vision Transformer over the patches of one or more images of any size";
  spec.keys = image_preprocess_keys();
  spec.keys.push_back(from_key("SigLIP, CLIP or Qwen2.5-VL; the part gets that type"));
  const Keys module_keys = {
      {.name = "hidden_size",
       .type = Type::integer,
       .doc = "width of the encoder",
       .default_value = 64,
       .minimum = 4,
       .maximum = 65536},
      {.name = "num_hidden_layers",
       .type = Type::integer,
       .doc = "blocks",
       .default_value = 2,
       .minimum = 0,
       .maximum = 1024},
      {.name = "num_attention_heads",
       .type = Type::integer,
       .doc = "heads of each block",
       .default_value = 4,
       .minimum = 1,
       .maximum = 1024},
      {.name = "intermediate_size",
       .type = Type::integer,
       .doc = "width of each block's SwiGLU; 0: 8/3 of hidden_size, rounded up to a multiple of 8",
       .default_value = 0,
       .minimum = 0,
       .maximum = 1048576},
      {.name = "initializer_range",
       .type = Type::number,
       .doc = "standard deviation of fresh weights",
       .default_value = 0.02,
       .minimum = 0,
       .maximum = 10}};
  spec.keys.insert(spec.keys.end(), module_keys.begin(), module_keys.end());
  spec.check = check_image;
  spec.read_directory = read_image_model;
  spec.describe = describe_image;
  spec.make_preprocessor = [](const PartConfig& config, const Json&) {
    return make_image_preprocessor(config);
  };
  return spec;
}

}  // namespace veomni
