#include "modalities/encoders/qwen2_5_vl_spec.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/data/preprocessor.h"
#include "core/error.h"
#include "core/hugging_face/config_reader.h"
#include "modalities/encoders/image_choices_spec.h"
#include "modalities/encoders/pieces_spec.h"
#include "modalities/specs.h"

namespace veomni {
namespace {

constexpr const char* kTokenIds[] = {"vision_start_token_id", "vision_end_token_id",
                                     "image_token_id", "video_token_id"};

/// Values of one patch.
int64_t patch_values(const PartConfig& config) {
  const int64_t p = size_of(config, "patch_size");
  return 3 * size_of(config, "temporal_patch_size") * p * p;
}

UnitSpec describe_root(const PartConfig& config, const BaseSizes& sizes) {
  const int64_t W = size_of(config, "hidden_size"), merge = size_of(config, "spatial_merge_size"),
                M = W * merge * merge, out = size_of(config, "out_hidden_size"),
                p = size_of(config, "patch_size"), frames = size_of(config, "temporal_patch_size");
  const Init normal = Init::normal(config.keys.at("initializer_range").get<double>());
  const std::string name = "encoders." + config.name;
  UnitSpec root{.name = name, .parameters = {}};
  const auto add = [&](const char* own, std::vector<int64_t> shape, Init init, bool decay) {
    auto& parameter = root.parameters.emplace_back();
    parameter = {name + "." + own, std::move(shape), init, decay};
    if (std::string_view(own) != "projector.weight")
      name_piece(parameter, std::string("visual.") + own);
  };
  add("patch_embed.proj.weight", {W, patch_values(config)}, normal, true);
  root.parameters.back().pieces[0].shape = {W, 3, frames, p, p};
  add("merger.ln_q.weight", {W}, Init::ones(), false);
  add("merger.mlp.0.weight", {M, M}, normal, true);
  add("merger.mlp.0.bias", {M}, Init::zeros(), false);
  add("merger.mlp.2.weight", {out, M}, normal, true);
  add("merger.mlp.2.bias", {out}, Init::zeros(), false);
  if (out != sizes.hidden_size) add("projector.weight", {sizes.hidden_size, out}, normal, true);
  root.flops_per_token = 2.0 * static_cast<double>(M * (patch_values(config) + M + out));
  root.saved_bytes_per_token =
      4.0 * static_cast<double>(merge * merge * (patch_values(config) + W) + 3 * M);
  return root;
}

void check(const PartConfig& config, const std::string& where) {
  const int64_t width = size_of(config, "hidden_size"), heads = size_of(config, "num_heads");
  require<ConfigError>(
      width % (4 * heads) == 0,
      "{}.num_heads: hidden_size / heads = {} / {} must be a multiple of 4 (sines and "
      "cosines of rows and columns)",
      where, width, heads);
  const int64_t unit = size_of(config, "patch_size") * size_of(config, "spatial_merge_size");
  require<ConfigError>(size_of(config, "window_size") >= unit,
                       "{}.window_size: {} is less than patch_size · spatial_merge_size = {}",
                       where, size_of(config, "window_size"), unit);
  const double least = config.keys.at("min_pixels"), most = config.keys.at("max_pixels");
  require<ConfigError>(
      least <= most && most >= static_cast<double>(unit * unit),
      "{}.max_pixels: {} must be at least min_pixels = {} and one token's {} pixels", where, most,
      least, unit * unit);
  for (const Json& block : config.keys.at("fullatt_block_indexes"))
    require<ConfigError>(
        block.is_number_integer() && block >= 0 && block < size_of(config, "depth"),
        "{}.fullatt_block_indexes: {} is no block; they are 0 to depth - 1", where, block.dump());
  int given = 0;
  for (const char* key : kTokenIds) given += config.keys.contains(key);
  require<ConfigError>(given == 0 || given == 4, "{}: {}, {}, {} and {} come together", where,
                       kTokenIds[0], kTokenIds[1], kTokenIds[2], kTokenIds[3]);
  check_image_choices(config.keys, 3, where);
}

Keys module_keys() {
  return {from_key("Qwen2.5-VL"),
          size_key("depth", "blocks", 32, 1024),
          size_key("hidden_size", "width of the encoder", 1280),
          size_key("intermediate_size", "width of each block's SwiGLU", 3420),
          size_key("num_heads", "heads of each block", 16, 1024),
          size_key("out_hidden_size",
                   "width behind the merger; a projector follows where the base model "
                   "has another",
                   2048),
          size_key("patch_size", "side of a square patch, pixels", 14, 1024),
          size_key("spatial_merge_size", "a token is a square of so many patches a side", 2, 64),
          size_key("temporal_patch_size", "frames of a patch; an image is repeated", 2, 64),
          size_key("window_size", "side in pixels of the windows that attention stays in", 112,
                   1 << 16),
          {.name = "fullatt_block_indexes",
           .type = Key::Type::array,
           .doc = "blocks whose attention sees the whole image",
           .default_value = {7, 15, 23, 31}},
          {.name = "initializer_range",
           .type = Key::Type::number,
           .doc = "standard deviation of fresh weights",
           .default_value = 0.02,
           .minimum = 0,
           .maximum = 10}};
}

Keys preprocess_keys() {
  const auto boundary = [](const char* name, const char* doc) {
    return Key{
        .name = name, .type = Key::Type::integer, .doc = doc, .minimum = 0, .maximum = 1 << 24};
  };
  const auto channel = [](const char* name, const char* doc, const std::vector<double>& value) {
    return Key{.name = name, .type = Key::Type::any, .doc = doc, .default_value = value};
  };
  return {
      size_key("min_pixels", "smaller images are enlarged", 3136, 1 << 30),
      size_key("max_pixels", "larger images are made smaller", 1003520, 1 << 30),
      channel("mean", "subtracted from pixels on the 0..1 scale; a number, or one a channel",
              {0.48145466, 0.4578275, 0.40821073}),
      channel("std", "divides after the mean; a number, or one a channel",
              {0.26862954, 0.26130258, 0.27577711}),
      boundary(
          "vision_start_token_id",
          "text id before each segment, instead of a learned boundary token; model.from sets it"),
      boundary("vision_end_token_id", "text id after each segment, likewise"),
      boundary("image_token_id",
               "text id that stands for a token of an image in prompts; model.from "
               "sets it, export writes it"),
      boundary("video_token_id", "the same of a video")};
}

Json area(ConfigReader& reader, const char* own, const char* of_size) {
  const Json size = reader.get("size");
  Json value = reader.get(own);
  if (!value.is_null()) return value;
  return size.is_object() ? size.value(of_size, Json(nullptr)) : Json(nullptr);
}

Json read_preprocessor(const std::filesystem::path& directory) {
  Json keys = read_image_normalisation(directory);
  auto reader = image_processor_config(directory);
  if (!reader) return keys;
  if (const Json least = area(*reader, "min_pixels", "shortest_edge"); !least.is_null())
    keys["min_pixels"] = least;
  if (const Json most = area(*reader, "max_pixels", "longest_edge"); !most.is_null())
    keys["max_pixels"] = most;
  return keys;
}

/// Its part of the config.json that read_qwen2_5_vl and read_vision_encoder read.
Json write_config(const PartConfig& config) {
  Json vision = {{"model_type", "qwen2_5_vl"},
                 {"hidden_act", "silu"},
                 {"in_channels", 3},
                 {"in_chans", 3},
                 {"tokens_per_second", 2}};
  for (const char* key :
       {"depth", "hidden_size", "intermediate_size", "num_heads", "out_hidden_size", "patch_size",
        "spatial_merge_size", "temporal_patch_size", "window_size", "fullatt_block_indexes"})
    vision[key] = config.keys.at(key);
  Json keys = {{"vision_config", vision}};
  for (const char* id : kTokenIds) keys[id] = config.keys.at(id);
  return keys;
}

}  // namespace

BlockConfig qwen2_5_vl_block_config(const PartConfig& config) {
  const int64_t width = size_of(config, "hidden_size"), heads = size_of(config, "num_heads"),
                pairs = width / heads / 4;
  return {.hidden_size = width,
          .intermediate_size = size_of(config, "intermediate_size"),
          .num_attention_heads = heads,
          .num_key_value_heads = heads,
          .head_dim = width / heads,
          .norm_eps = 1e-6,
          .attention_bias = true,
          .attention_output_bias = true,
          .mlp_bias = true,
          .causal = false,
          .rope_theta = 10000,
          .rope_sections = {pairs, pairs, 0},
          .rope_restarts = true,
          .initializer_range = config.keys.at("initializer_range").get<double>(),
          .num_layers = size_of(config, "depth")};
}

std::vector<UnitSpec> describe_qwen2_5_vl(const PartConfig& config, const BaseSizes& sizes) {
  const BlockConfig block = qwen2_5_vl_block_config(config);
  const double patches = static_cast<double>(size_of(config, "spatial_merge_size") *
                                             size_of(config, "spatial_merge_size"));
  std::vector<UnitSpec> units{describe_root(config, sizes)};
  for (int64_t layer = 0; layer < block.num_layers; ++layer) {
    UnitSpec unit = describe_block(fmt::format("{}.blocks.{}.", units[0].name, layer), block);
    unit.flops_per_token *= patches;
    unit.saved_bytes_per_token *= patches;
    name_block_pieces(unit, block, fmt::format("visual.blocks.{}.", layer),
                      {.input_norm = "norm1",
                       .qkv = "attn.qkv",
                       .q = "",
                       .k = "",
                       .v = "",
                       .output = "attn.proj",
                       .post_norm = "norm2",
                       .gate = "mlp.gate_proj",
                       .up = "mlp.up_proj",
                       .down = "mlp.down_proj"});
    units.push_back(std::move(unit));
  }
  return units;
}

PartFrom read_qwen2_5_vl(const std::filesystem::path& directory) {
  ConfigReader whole(directory / "config.json");
  if (const Json type = whole.get("model_type"); type != "qwen2_5_vl")
    whole.fail("model_type", fmt::format("{} is not supported; qwen2_5_vl is", json_excerpt(type)));
  ConfigReader reader(whole, "vision_config");
  const int64_t text = whole.get("hidden_size").is_null() ? 0 : whole.size("hidden_size");
  PartFrom from;
  from.fixed = {{"type", "qwen2_5_vl"},
                {"depth", reader.size("depth", 32)},
                {"hidden_size", reader.size("hidden_size", 1280)},
                {"intermediate_size", reader.size("intermediate_size", 3420)},
                {"num_heads", reader.size("num_heads", 16)},
                {"out_hidden_size", reader.size("out_hidden_size", text > 0 ? text : 3584)},
                {"patch_size", reader.size("patch_size", 14)},
                {"spatial_merge_size", reader.size("spatial_merge_size", 2)},
                {"temporal_patch_size", reader.size("temporal_patch_size", 2)},
                {"window_size", reader.size("window_size", 112)}};
  const Json full = reader.get("fullatt_block_indexes");
  from.fixed["fullatt_block_indexes"] = full.is_null() ? Json({7, 15, 23, 31}) : full;
  reader.expect("hidden_act", "silu");
  reader.expect("in_channels", 3);
  reader.expect("in_chans", 3);
  reader.ignore({"tokens_per_second", "spatial_patch_size"});  // of videos; a name of the same
  reader.refuse_unknown();
  from.defaults = read_preprocessor(directory);
  return from;
}

PartSpec qwen2_5_vl_spec() {
  PartSpec spec;
  spec.type = "qwen2_5_vl";
  spec.takes_field = true;
  spec.doc =
      "Qwen2.5-VL's vision encoder (Bai et al. 2025, arXiv:2502.13923) over images of any size";
  spec.keys = module_keys();
  const Keys rest = preprocess_keys();
  spec.keys.insert(spec.keys.end(), rest.begin(), rest.end());
  spec.check = check;
  spec.describe = describe_qwen2_5_vl;
  spec.make_preprocessor = [](const PartConfig& config, const Json&) {
    return make_qwen2_5_vl_preprocessor(config);
  };
  spec.read_directory = read_qwen2_5_vl;
  spec.write_config = write_config;
  spec.other_tensors = {"model.", "lm_head."};
  return spec;
}

}  // namespace veomni
