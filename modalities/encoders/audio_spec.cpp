#include "modalities/encoders/audio_spec.h"

#include <fmt/format.h>

#include "core/data/preprocessor.h"
#include "core/error.h"
#include "core/hugging_face/config_reader.h"
#include "core/recipe/family.h"
#include "modalities/encoders/pieces_spec.h"
#include "modalities/specs.h"

namespace veomni {
namespace {

UnitSpec describe_root(const PartConfig& config, const BaseSizes& sizes) {
  const int64_t W = size_of(config, "d_model"), M = size_of(config, "num_mel_bins"),
                S = size_of(config, "max_source_positions");
  const Init normal = Init::normal(config.keys.at("init_std").get<double>());
  const std::string name = "encoders." + config.name;
  UnitSpec root{.name = name, .parameters = {}};
  const auto add = [&](const char* own, std::vector<int64_t> shape, Init init, bool decay) {
    auto& parameter = root.parameters.emplace_back();
    parameter = {name + "." + own, std::move(shape), init, decay};
    if (std::string_view(own) != "projector.weight")
      name_piece(parameter, std::string("model.encoder.") + own);
  };
  add("conv1.weight", {W, M, 3}, normal, true);
  add("conv1.bias", {W}, Init::zeros(), false);
  add("conv2.weight", {W, W, 3}, normal, true);
  add("conv2.bias", {W}, Init::zeros(), false);
  add("embed_positions.weight", {S, W}, Init::sinusoids(static_cast<double>(W)), false);
  add("layer_norm.weight", {W}, Init::ones(), false);
  add("layer_norm.bias", {W}, Init::zeros(), false);
  add("projector.weight", {sizes.hidden_size, W}, normal, true);
  // A token stands for two frames.
  root.flops_per_token = 2.0 * static_cast<double>(W * (6 * M + 3 * W + sizes.hidden_size));
  root.saved_bytes_per_token = 4.0 * static_cast<double>(2 * M + 8 * W);
  return root;
}

void check_audio(const PartConfig& config, const std::string& where) {
  const int64_t width = size_of(config, "d_model"),
                heads = size_of(config, "encoder_attention_heads");
  require<ConfigError>(width % (2 * heads) == 0,
                       "{}.encoder_attention_heads: d_model / heads = {} / {} must be even", where,
                       width, heads);
  require<ConfigError>(width % 4 == 0, "{}.d_model: {} must be a multiple of 4", where, width);
}

Keys audio_keys() {
  Key positions =
      size_key("max_source_positions",
               "tokens of a window, 20 ms each; longer sounds take several windows", 1500, 1 << 16);
  positions.minimum = 2;
  return {from_key("Whisper"),
          size_key("d_model", "width of the encoder", 384, 1 << 16),
          size_key("encoder_ffn_dim", "width of each block's feed-forward layer", 1536, 1 << 20),
          size_key("encoder_layers", "blocks", 4, 1024),
          size_key("encoder_attention_heads", "heads of each block", 6, 1024),
          size_key("num_mel_bins", "bands of the spectrogram", 80, 1024),
          positions,
          {.name = "activation_function",
           .type = Key::Type::string,
           .doc = "activation of the feed-forward layers",
           .default_value = "gelu",
           .choices = activation_names()},
          {.name = "init_std",
           .type = Key::Type::number,
           .doc = "standard deviation of fresh weights",
           .default_value = 0.02,
           .minimum = 0,
           .maximum = 10},
          {.name = "tokens",
           .type = Key::Type::string,
           .doc = "one token for 20 ms of sound, or one for each window",
           .default_value = "frames",
           .choices = {"frames", "pooled"}}};
}

}  // namespace

BlockConfig audio_block_config(const PartConfig& config) {
  const int64_t width = size_of(config, "d_model"),
                heads = size_of(config, "encoder_attention_heads");
  return {.hidden_size = width,
          .intermediate_size = size_of(config, "encoder_ffn_dim"),
          .num_attention_heads = heads,
          .num_key_value_heads = heads,
          .head_dim = width / heads,
          .norm = NormType::layer_norm,
          .norm_eps = 1e-5,
          .attention_bias = true,
          .key_bias = false,
          .attention_output_bias = true,
          .mlp_bias = true,
          .causal = false,
          .activation = activation_named(config.keys.at("activation_function").get<std::string>()),
          .gated_mlp = false,
          .initializer_range = config.keys.at("init_std").get<double>(),
          .num_layers = size_of(config, "encoder_layers")};
}

std::vector<UnitSpec> describe_audio(const PartConfig& config, const BaseSizes& sizes) {
  const BlockConfig block = audio_block_config(config);
  std::vector<UnitSpec> units{describe_root(config, sizes)};
  for (int64_t layer = 0; layer < block.num_layers; ++layer) {
    units.push_back(describe_block(fmt::format("{}.blocks.{}.", units[0].name, layer), block));
    name_block_pieces(units.back(), block, fmt::format("model.encoder.layers.{}.", layer),
                      {.input_norm = "self_attn_layer_norm",
                       .qkv = "",
                       .q = "self_attn.q_proj",
                       .k = "self_attn.k_proj",
                       .v = "self_attn.v_proj",
                       .output = "self_attn.out_proj",
                       .post_norm = "final_layer_norm",
                       .gate = "",
                       .up = "fc1",
                       .down = "fc2"});
  }
  return units;
}

PartFrom read_whisper(const std::filesystem::path& directory) {
  ConfigReader reader(directory / "config.json");
  if (const Json type = reader.get("model_type"); type != "whisper")
    reader.fail("model_type", fmt::format("{} is not supported; whisper is", json_excerpt(type)));
  PartFrom from;
  from.fixed = {{"type", "audio"},
                {"d_model", reader.size("d_model", 384)},
                {"encoder_ffn_dim", reader.size("encoder_ffn_dim", 1536)},
                {"encoder_layers", reader.size("encoder_layers", 4)},
                {"encoder_attention_heads", reader.size("encoder_attention_heads", 6)},
                {"num_mel_bins", reader.size("num_mel_bins", 80)},
                {"max_source_positions", reader.size("max_source_positions", 1500)}};
  const Json act = reader.get("activation_function");
  from.fixed["activation_function"] = act.is_null() ? Json("gelu") : act;
  for (const char* rate :
       {"dropout", "attention_dropout", "activation_dropout", "encoder_layerdrop"})
    reader.expect(rate, 0.0);
  reader.expect("apply_spec_augment", false);
  // Decoder, generation, and augmentation that is off.
  reader.ignore({"decoder_attention_heads",
                 "decoder_ffn_dim",
                 "decoder_layers",
                 "decoder_layerdrop",
                 "decoder_start_token_id",
                 "num_hidden_layers",
                 "begin_suppress_tokens",
                 "suppress_tokens",
                 "forced_decoder_ids",
                 "max_length",
                 "max_target_positions",
                 "vocab_size",
                 "scale_embedding",
                 "tie_word_embeddings",
                 "init_std",
                 "classifier_proj_size",
                 "use_weighted_layer_sum",
                 "median_filter_width",
                 "mask_feature_length",
                 "mask_feature_prob",
                 "mask_feature_min_masks",
                 "mask_time_length",
                 "mask_time_prob",
                 "mask_time_min_masks"});
  reader.refuse_unknown();
  return from;
}

PartSpec audio_spec() {
  PartSpec spec;
  spec.type = "audio";
  spec.takes_field = true;
  spec.doc = "Whisper's encoder (Radford et al. 2022, arXiv:2212.04356) over sounds of any length";
  spec.keys = audio_keys();
  spec.check = check_audio;
  spec.describe = describe_audio;
  spec.make_preprocessor = [](const PartConfig& config, const Json&) {
    return make_audio_preprocessor(config);
  };
  spec.read_directory = read_whisper;
  spec.other_tensors = {"model.decoder.", "proj_out."};
  return spec;
}

}  // namespace veomni
