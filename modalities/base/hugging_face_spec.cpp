#include "modalities/base/hugging_face_spec.h"

#include <map>

#include "core/checkpoint/safetensors.h"
#include "core/error.h"

namespace veomni {
namespace {

using Pieces = std::vector<HuggingFacePiece>;

/// How a family's files name what ours call model.…, model.layers.N.… and lm_head. Families that are not here use our
/// names, which are Llama's.
struct Names {
  std::map<std::string, std::string> root;
  std::string layers;                        ///< before the layer's number
  std::map<std::string, std::string> layer;  ///< modules without .weight and .bias
  bool conv1d = false;                ///< weights of layers' linear maps are [inputs, outputs]
  bool interleaved_qkv = false;       ///< rows of the fused weight: head by head q, k, v
  bool block_sparse_experts = false;  ///< w1, w3, w2 of block_sparse_moe (Mixtral)
};

const std::map<std::string, Names>& all_names() {
  static const std::map<std::string, Names> names = {
      {"mixtral",
       {.root = {},
        .layers = "model.layers.",
        .layer = {{"mlp.gate", "block_sparse_moe.gate"}},
        .block_sparse_experts = true}},
      {"gpt2",
       {.root = {{"model.embed_tokens", "transformer.wte"},
                 {"model.embed_positions", "transformer.wpe"},
                 {"model.norm", "transformer.ln_f"}},
        .layers = "transformer.h.",
        .layer = {{"input_layernorm", "ln_1"},
                  {"self_attn.qkv_proj", "attn.c_attn"},
                  {"self_attn.o_proj", "attn.c_proj"},
                  {"post_attention_layernorm", "ln_2"},
                  {"mlp.up_proj", "mlp.c_fc"},
                  {"mlp.down_proj", "mlp.c_proj"}},
        .conv1d = true}},
      {"gpt_neox",
       {.root = {{"model.embed_tokens", "gpt_neox.embed_in"},
                 {"model.norm", "gpt_neox.final_layer_norm"},
                 {"lm_head", "embed_out"}},
        .layers = "gpt_neox.layers.",
        .layer = {{"self_attn.qkv_proj", "attention.query_key_value"},
                  {"self_attn.o_proj", "attention.dense"},
                  {"mlp.up_proj", "mlp.dense_h_to_4h"},
                  {"mlp.down_proj", "mlp.dense_4h_to_h"}},
        .interleaved_qkv = true}}};
  return names;
}

const Names& names_of(const BaseConfig& base) {
  static const Names llama{.root = {}, .layers = "model.layers.", .layer = {}};
  const auto found = all_names().find(base.family);
  return found == all_names().end() ? llama : found->second;
}

std::string renamed(const std::map<std::string, std::string>& names, const std::string& module) {
  const auto found = names.find(module);
  return found == names.end() ? module : found->second;
}

/// "self_attn.qkv_proj.weight" → "self_attn.qkv_proj" and ".weight"; experts' names have no kind.
std::pair<std::string, std::string> split_kind(const std::string& parameter) {
  for (const std::string kind : {".weight", ".bias"})
    if (parameter.ends_with(kind))
      return {parameter.substr(0, parameter.size() - kind.size()), kind};
  return {parameter, ""};
}

/// q, k and v apart, of one weight [rows, D] or bias [rows].
Pieces split_qkv(const std::string& layer, const std::string& kind,
                 const std::vector<int64_t>& shape, const BaseConfig& base) {
  const int64_t q = base.num_attention_heads * base.head_dim,
                kv = base.num_key_value_heads * base.head_dim;
  Pieces pieces;
  for (const auto& [name, rows] : {std::pair{"q", q}, std::pair{"k", kv}, std::pair{"v", kv}}) {
    auto part = shape;
    part[0] = rows;
    pieces.push_back({fmt::format("{}self_attn.{}_proj{}", layer, name, kind), part});
  }
  return pieces;
}

/// Rows of the file: for each head those of q, k and v. Ours: all of q, then of k, then of v.
Pieces interleaved_qkv(const std::string& tensor, const std::vector<int64_t>& shape,
                       const BaseConfig& base) {
  const int64_t elements = base.head_dim * (shape.size() > 1 ? shape[1] : 1);
  Pieces pieces;
  for (int64_t part = 0; part < 3; ++part)
    for (int64_t head = 0; head < base.num_attention_heads; ++head) {
      const int64_t begin = (3 * head + part) * elements;
      pieces.push_back({tensor, shape, begin, begin + elements});
    }
  return pieces;
}

Pieces split_gate_up(const std::string& layer, const std::string& kind,
                     std::vector<int64_t> shape) {
  shape[0] /= 2;
  return {{layer + "mlp.gate_proj" + kind, shape}, {layer + "mlp.up_proj" + kind, shape}};
}

Pieces expert_pieces(const std::string& layer, bool down, const BaseConfig& base) {
  const bool mixtral = names_of(base).block_sparse_experts;
  const std::vector<int64_t> up_shape{base.moe_intermediate_size, base.hidden_size},
      down_shape{base.hidden_size, base.moe_intermediate_size};
  Pieces pieces;
  for (int64_t e = 0; e < base.num_experts; ++e) {
    const auto prefix =
        fmt::format("{}{}.experts.{}.", layer, mixtral ? "block_sparse_moe" : "mlp", e);
    if (down) {
      pieces.push_back({prefix + (mixtral ? "w2.weight" : "down_proj.weight"), down_shape});
      continue;
    }
    pieces.push_back({prefix + (mixtral ? "w1.weight" : "gate_proj.weight"), up_shape});
    pieces.push_back({prefix + (mixtral ? "w3.weight" : "up_proj.weight"), up_shape});
  }
  return pieces;
}

Pieces layer_pieces(const std::string& layer, const std::string& parameter,
                    const std::vector<int64_t>& shape, const BaseConfig& base) {
  const Names& names = names_of(base);
  const auto [module, kind] = split_kind(parameter);
  const auto tensor = layer + renamed(names.layer, module) + kind;
  if (module == "mlp.experts.gate_up_proj") return expert_pieces(layer, false, base);
  if (module == "mlp.experts.down_proj") return expert_pieces(layer, true, base);
  if (names.conv1d && shape.size() == 2) return {{tensor, {shape[1], shape[0]}, 0, 0, true}};
  if (module == "self_attn.qkv_proj" && names.interleaved_qkv)
    return interleaved_qkv(tensor, shape, base);
  if (module == "self_attn.qkv_proj" && !names.conv1d) return split_qkv(layer, kind, shape, base);
  if (module == "mlp.gate_up_proj") return split_gate_up(layer, kind, shape);
  return {{tensor, shape}};
}

}  // namespace

int64_t HuggingFacePiece::count() const {
  return end > 0 ? end - begin : count_elements(shape).value();
}

Pieces hugging_face_pieces(const std::string& parameter, const std::vector<int64_t>& shape,
                           const BaseConfig& base) {
  const Names& names = names_of(base);
  const bool head = parameter == "lm_head.weight";
  if (!head && (!parameter.starts_with("model.") || parameter == "model.special_tokens.weight"))
    return {};
  constexpr std::string_view kLayers = "model.layers.";
  const auto number_end = parameter.find('.', kLayers.size());
  if (!parameter.starts_with(kLayers) || number_end == std::string::npos) {
    const auto [module, kind] = split_kind(parameter);
    return {{renamed(names.root, module) + kind, shape}};
  }
  const auto number = parameter.substr(kLayers.size(), number_end + 1 - kLayers.size());
  return layer_pieces(names.layers + number, parameter.substr(number_end + 1), shape, base);
}

bool is_left_over(const std::string& tensor, const BaseConfig& base) {
  const auto first_of = [&](const char* parameter) {
    return hugging_face_pieces(parameter, {1}, base).at(0).tensor;
  };
  const bool head = tensor == first_of("lm_head.weight");
  const auto embedding = first_of("model.embed_tokens.weight");
  const bool embeds = head || tensor == embedding || embedding.ends_with("." + tensor);
  if (embeds && base.vocab_size == 0) return true;  // a model without text
  if (head && base.tie_word_embeddings) return true;
  const bool masks = names_of(base).conv1d || names_of(base).interleaved_qkv;
  for (const char* mask :
       {".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias"})
    if (masks && tensor.ends_with(mask)) return true;
  return tensor.ends_with("rotary_emb.inv_freq");
}

}  // namespace veomni
