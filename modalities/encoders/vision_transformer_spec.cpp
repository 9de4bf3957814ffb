#include "modalities/encoders/vision_transformer_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "modalities/encoders/pieces_spec.h"

namespace veomni {
namespace {

// A parameter and the tensor of the directory it is.
struct Named {
  ParameterSpec parameter;
  std::string tensor;
  std::vector<int64_t> shape = {};
};

void add(UnitSpec& unit, std::vector<Named> list) {
  for (Named& named : list) {
    named.parameter.name = unit.name + "." + named.parameter.name;
    if (!named.tensor.empty())
      name_piece(named.parameter, "vision_model." + named.tensor, named.shape);
    unit.parameters.push_back(std::move(named.parameter));
  }
}

void add_norm(UnitSpec& root, const std::string& name, const std::string& tensor, int64_t width) {
  add(root, {{{name + ".weight", {width}, Init::ones(), false}, tensor + ".weight"},
             {{name + ".bias", {width}, Init::zeros(), false}, tensor + ".bias"}});
}

/// Patch embedding, class token, positions and the norm before the blocks.
void add_embedding(UnitSpec& root, const PartConfig& config, const VisionVariant& variant) {
  const int64_t W = size_of(config, "hidden_size"), C = size_of(config, "num_channels"),
                p = size_of(config, "patch_size"), pixels = C * p * p;
  const Init normal = Init::normal(config.keys.at("initializer_range").get<double>());
  // Patch pixels have unit scale, so fan-in initialisation keeps the embeddings there too.
  const Init fan_in = Init::normal(1 / std::sqrt(static_cast<double>(pixels)));
  const std::string embeddings = "embeddings.";
  add(root, {{{"patch_embed.weight", {W, pixels}, fan_in},
              embeddings + "patch_embedding.weight",
              {W, C, p, p}}});
  if (variant.patch_bias)
    add(root,
        {{{"patch_embed.bias", {W}, Init::zeros(), false}, embeddings + "patch_embedding.bias"}});
  if (variant.class_token)
    add(root, {{{"class_embedding", {W}, normal, false}, embeddings + "class_embedding"}});
  add(root, {{{"position_embedding.weight", {vision_tokens(config), W}, normal, false},
              embeddings + "position_embedding.weight"}});
  if (variant.pre_norm) add_norm(root, "pre_norm", "pre_layrnorm", W);  // spelt so
}

void add_head(UnitSpec& root, const PartConfig& config) {
  const int64_t W = size_of(config, "hidden_size"), F = size_of(config, "intermediate_size");
  const Init normal = Init::normal(config.keys.at("initializer_range").get<double>());
  const std::string attention = "head.attention.", mlp = "head.mlp.";
  add(root,
      {{{"head.probe", {1, W}, normal, false}, "head.probe", {1, 1, W}},
       {{attention + "in_proj_weight", {3 * W, W}, normal}, attention + "in_proj_weight"},
       {{attention + "in_proj_bias", {3 * W}, Init::zeros(), false}, attention + "in_proj_bias"},
       {{attention + "out_proj.weight", {W, W}, normal}, attention + "out_proj.weight"},
       {{attention + "out_proj.bias", {W}, Init::zeros(), false}, attention + "out_proj.bias"}});
  add_norm(root, "head.layernorm", "head.layernorm", W);
  add(root, {{{mlp + "fc1.weight", {F, W}, normal}, mlp + "fc1.weight"},
             {{mlp + "fc1.bias", {F}, Init::zeros(), false}, mlp + "fc1.bias"},
             {{mlp + "fc2.weight", {W, F}, normal}, mlp + "fc2.weight"},
             {{mlp + "fc2.bias", {W}, Init::zeros(), false}, mlp + "fc2.bias"}});
}

UnitSpec describe_root(const PartConfig& config, const BaseSizes& sizes) {
  const VisionVariant& variant = vision_variant(config.type);
  const int64_t W = size_of(config, "hidden_size"), p = size_of(config, "patch_size"),
                pixels = size_of(config, "num_channels") * p * p;
  const Init normal = Init::normal(config.keys.at("initializer_range").get<double>());
  const bool pooled = config.keys.at("tokens") == "pooled";
  UnitSpec root{.name = "encoders." + config.name, .parameters = {}};
  add_embedding(root, config, variant);
  if (variant.norms_patches || pooled) add_norm(root, "norm", "post_layernorm", W);
  add(root, {{{"projector.weight", {sizes.hidden_size, W}, normal}, ""}});
  if (pooled && !variant.class_token) add_head(root, config);
  root.flops_per_token = 2.0 * static_cast<double>(W * (pixels + sizes.hidden_size));
  root.saved_bytes_per_token = 4.0 * static_cast<double>(pixels + 2 * W);
  return root;
}

}  // namespace

const std::vector<VisionVariant>& vision_variants() {
  static const std::vector<VisionVariant> variants{
      {.type = "siglip",
       .name = "SigLIP",
       .doc = "SigLIP's Vision Transformer (Zhai et al. 2023, arXiv:2303.15343) over images of one "
              "size",
       .class_token = false,
       .patch_bias = true,
       .pre_norm = false,
       .norms_patches = true,
       .centre_crop = false,
       .patch_size = 16,
       .hidden_act = "gelu_pytorch_tanh",
       .layer_norm_eps = 1e-6,
       .mean = 0.5,
       .std = 0.5,
       .other_tensors = {"text_model.", "logit_", "vision_model.head.", "head.",
                         "vision_model.embeddings.position_ids", "embeddings.position_ids"}},
      {.type = "clip",
       .name = "CLIP",
       .doc =
           "CLIP's Vision Transformer (Radford et al. 2021, arXiv:2103.00020) over images of one "
           "size",
       .class_token = true,
       .patch_bias = false,
       .pre_norm = true,
       .norms_patches = false,
       .centre_crop = true,
       .patch_size = 32,
       .hidden_act = "quick_gelu",
       .layer_norm_eps = 1e-5,
       .mean = {0.48145466, 0.4578275, 0.40821073},
       .std = {0.26862954, 0.26130258, 0.27577711},
       .other_tensors = {"text_model.", "logit_scale", "visual_projection.", "text_projection.",
                         "vision_model.post_layernorm.", "post_layernorm.",
                         "vision_model.embeddings.position_ids", "embeddings.position_ids"}}};
  return variants;
}

const VisionVariant& vision_variant(const std::string& type) {
  for (const auto& variant : vision_variants())
    if (type == variant.type) return variant;
  throw Error(fmt::format("'{}' is no Vision Transformer of images of one size", type));
}

const VisionVariant* find_vision_variant(const Json& model_type) {
  for (const auto& variant : vision_variants())
    if (model_type == variant.type || model_type == std::string(variant.type) + "_vision_model")
      return &variant;
  return nullptr;
}

BlockConfig vision_block_config(const PartConfig& config) {
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

int64_t vision_patches(const PartConfig& config) {
  const int64_t side = size_of(config, "image_size") / size_of(config, "patch_size");
  return side * side;
}

int64_t vision_tokens(const PartConfig& config) {
  return vision_patches(config) + (vision_variant(config.type).class_token ? 1 : 0);
}

VisionRoot vision_root(const UnitSpec& root) {
  const auto at = [&](const std::string& name) {
    const auto& all = root.parameters;
    const auto found = std::find_if(all.begin(), all.end(), [&](const ParameterSpec& parameter) {
      return parameter.name == root.name + "." + name;
    });
    return found == all.end() ? VisionRoot::kAbsent : static_cast<size_t>(found - all.begin());
  };
  const auto both = [&](const std::string& name) {
    return VisionRoot::Place{at(name + ".weight"), at(name + ".bias")};
  };
  return {.patch = at("patch_embed.weight"),
          .patch_bias = at("patch_embed.bias"),
          .class_token = at("class_embedding"),
          .positions = at("position_embedding.weight"),
          .projector = at("projector.weight"),
          .probe = at("head.probe"),
          .pre_norm = both("pre_norm"),
          .norm = both("norm"),
          .in_proj = {at("head.attention.in_proj_weight"), at("head.attention.in_proj_bias")},
          .out_proj = both("head.attention.out_proj"),
          .head_norm = both("head.layernorm"),
          .fc1 = both("head.mlp.fc1"),
          .fc2 = both("head.mlp.fc2")};
}

std::vector<UnitSpec> describe_vision_transformer(const PartConfig& config,
                                                  const BaseSizes& sizes) {
  const BlockConfig block = vision_block_config(config);
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

}  // namespace veomni
