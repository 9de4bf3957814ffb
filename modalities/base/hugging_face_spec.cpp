#include "modalities/base/hugging_face_spec.h"

#include "core/checkpoint/safetensors.h"
#include "core/error.h"

namespace veomni {
namespace {

using Pieces = std::vector<HuggingFacePiece>;

/// q, k and v of one weight [rows, D] or bias [rows].
Pieces attention_pieces(const std::string& layer, const std::string& kind,
                        const std::vector<int64_t>& shape, const BaseConfig& base) {
  const int64_t q = base.num_attention_heads * base.head_dim,
                kv = base.num_key_value_heads * base.head_dim;
  Pieces pieces;
  for (const auto& [name, rows] : {std::pair{"q", q}, std::pair{"k", kv}, std::pair{"v", kv}}) {
    auto part = shape;
    part[0] = rows;
    pieces.push_back({fmt::format("{}self_attn.{}_proj.{}", layer, name, kind), part});
  }
  return pieces;
}

Pieces gate_up_pieces(const std::string& prefix, int64_t width, int64_t hidden) {
  return {{prefix + "gate_proj.weight", {width, hidden}},
          {prefix + "up_proj.weight", {width, hidden}}};
}

Pieces expert_pieces(const std::string& layer, bool down, const BaseConfig& base) {
  Pieces pieces;
  for (int64_t e = 0; e < base.num_experts; ++e) {
    const auto prefix = fmt::format("{}mlp.experts.{}.", layer, e);
    if (down)
      pieces.push_back(
          {prefix + "down_proj.weight", {base.hidden_size, base.moe_intermediate_size}});
    else
      for (auto& piece : gate_up_pieces(prefix, base.moe_intermediate_size, base.hidden_size))
        pieces.push_back(std::move(piece));
  }
  return pieces;
}

}  // namespace

int64_t HuggingFacePiece::count() const { return count_elements(shape).value(); }

Pieces hugging_face_pieces(const std::string& parameter, const std::vector<int64_t>& shape,
                           const BaseConfig& base) {
  if (parameter == "lm_head.weight") return {{parameter, shape}};
  if (!parameter.starts_with("model.") || parameter == "model.special_tokens.weight") return {};
  const auto layer_end = parameter.find('.', std::string_view("model.layers.").size());
  if (!parameter.starts_with("model.layers.") || layer_end == std::string::npos)
    return {{parameter, shape}};
  const auto layer = parameter.substr(0, layer_end + 1), rest = parameter.substr(layer_end + 1);
  if (rest == "self_attn.qkv_proj.weight") return attention_pieces(layer, "weight", shape, base);
  if (rest == "self_attn.qkv_proj.bias") return attention_pieces(layer, "bias", shape, base);
  if (rest == "mlp.gate_up_proj.weight")
    return gate_up_pieces(layer + "mlp.", base.intermediate_size, base.hidden_size);
  if (rest == "mlp.experts.gate_up_proj") return expert_pieces(layer, false, base);
  if (rest == "mlp.experts.down_proj") return expert_pieces(layer, true, base);
  return {{parameter, shape}};
}

}  // namespace veomni
