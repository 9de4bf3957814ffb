#include "core/hugging_face/config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "core/hugging_face/config_reader.h"
#include "core/recipe/family.h"

namespace veomni {
namespace {

const Architecture& find_architecture(ConfigReader& reader) {
  const Json type = reader.get("model_type");
  std::string known;
  for (const Architecture& architecture : architectures()) {
    if (type == architecture.model_type) return architecture;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", architecture.model_type);
  }
  reader.fail("model_type", fmt::format("{} is not supported; {} are", json_excerpt(type), known));
}

std::string read_activation(ConfigReader& reader, const char* key, const Family& family) {
  auto name = reader.text(key, family.hidden_act);
  const auto& known = activation_names();
  const bool swiglu = name == "silu" || name == "swish";
  if (std::find(known.begin(), known.end(), name) == known.end() ||
      (family.needs_experts && !swiglu))
    reader.fail(key, fmt::format("{} is not supported; {} are", json_excerpt(Json(name)),
                                 family.needs_experts ? "silu and swish"
                                                      : fmt::format("{}", fmt::join(known, ", "))));
  return name;
}

void read_experts(ConfigReader& reader, Json& base, bool mixtral) {
  base["num_experts"] = reader.size_of({"num_local_experts", "num_experts"});
  base["num_experts_per_tok"] = reader.size("num_experts_per_tok");
  base["moe_intermediate_size"] =
      mixtral ? base.at("intermediate_size") : Json(reader.size("moe_intermediate_size"));
  base["norm_topk_prob"] = mixtral || reader.flag("norm_topk_prob", false);
  base["router_aux_loss_coef"] = reader.number("router_aux_loss_coef", 0.001);
  reader.expect("router_jitter_noise", 0.0);
  reader.expect("decoder_sparse_step", 1);
  reader.expect("mlp_only_layers", Json::array());
}

/// llama, mistral, qwen2, qwen3, qwen3_moe, mixtral.
void read_llama(ConfigReader& reader, const Architecture& architecture, Json& base) {
  const Family& family = family_of(architecture.family);
  const int64_t heads = reader.size("num_attention_heads"), hidden = reader.size("hidden_size");
  base["hidden_size"] = hidden;
  base["intermediate_size"] = reader.size("intermediate_size");
  base["num_hidden_layers"] = reader.size("num_hidden_layers");
  base["num_attention_heads"] = heads;
  base["num_key_value_heads"] = reader.size("num_key_value_heads", heads);
  base["head_dim"] = reader.size("head_dim", std::max<int64_t>(1, hidden / heads));
  base["rms_norm_eps"] = reader.number("rms_norm_eps", architecture.norm_eps);
  base["hidden_act"] = read_activation(reader, "hidden_act", family);
  if (family.qk_norm_key) base["qk_norm"] = family.qk_norm;
  if (family.attention_bias_key)
    base["attention_bias"] =
        architecture.bias_key ? reader.flag("attention_bias", false) : family.attention_bias;
  if (!architecture.bias_key && !family.attention_bias) reader.expect("attention_bias", false);
  if (family.mlp_bias_key && architecture.bias_key)
    base["mlp_bias"] = reader.flag("mlp_bias", false);
  reader.expect("mlp_bias", base.value("mlp_bias", false));
  if (family.needs_experts)
    read_experts(reader, base, std::string(architecture.model_type) == "mixtral");
  reader.expect("attention_dropout", 0.0);
  reader.expect("use_mrope", false);
  reader.expect("partial_rotary_factor", 1.0);
  read_windows(reader, architecture, base);
}

/// GPT-2's own names for sizes, and the common ones that older directories have.
void read_gpt2(ConfigReader& reader, const Architecture& architecture, Json& base) {
  const int64_t hidden = reader.size_of({"n_embd", "hidden_size"});
  base["hidden_size"] = hidden;
  base["intermediate_size"] = reader.size_of({"n_inner"}, 4 * hidden);
  base["num_hidden_layers"] = reader.size_of({"n_layer", "num_hidden_layers"});
  base["num_attention_heads"] = reader.size_of({"n_head", "num_attention_heads"});
  base["max_position_embeddings"] =
      reader.size_of({"n_positions", "max_position_embeddings"}, 1024);
  base["layer_norm_eps"] = reader.number("layer_norm_epsilon", architecture.norm_eps);
  base["hidden_act"] =
      read_activation(reader, "activation_function", family_of(architecture.family));
  reader.expect("scale_attn_weights", true);
  reader.expect("scale_attn_by_inverse_layer_idx", false);
  reader.expect("add_cross_attention", false);
  // reorder_and_upcast_attn is about rounding; summary_* belongs to other heads.
  reader.ignore({"n_ctx", "reorder_and_upcast_attn", "summary_activation", "summary_first_dropout",
                 "summary_proj_to_labels", "summary_type", "summary_use_proj"});
}

void read_gpt_neox(ConfigReader& reader, const Architecture& architecture, Json& base) {
  base["hidden_size"] = reader.size("hidden_size");
  base["intermediate_size"] = reader.size("intermediate_size");
  base["num_hidden_layers"] = reader.size("num_hidden_layers");
  base["num_attention_heads"] = reader.size("num_attention_heads");
  base["layer_norm_eps"] = reader.number("layer_norm_eps", architecture.norm_eps);
  base["hidden_act"] = read_activation(reader, "hidden_act", family_of(architecture.family));
  base["attention_bias"] = reader.flag("attention_bias", true);
  base["use_parallel_residual"] = reader.flag("use_parallel_residual", true);
}

constexpr const char* kImageIds[] = {"image_token_id", "video_token_id", "vision_start_token_id",
                                     "vision_end_token_id"};

/// Where the keys of the text model stand: in an object of their own, as transformers 5 saves models with a vision
/// encoder, or at the top, as the Hub has them.
ConfigReader text_reader(ConfigReader& whole, const Architecture& architecture) {
  if (architecture.vision == nullptr) return whole;
  whole.ignore({"vision_config", "image_token_id", "video_token_id", "vision_start_token_id",
                "vision_end_token_id", "vision_token_id"});  // read_vision_encoder's
  if (whole.get("text_config").is_null()) return whole;
  whole.get("tie_word_embeddings");
  whole.refuse_unknown();
  return {whole, "text_config"};
}

Json read_mrope(ConfigReader& reader) {
  for (const char* key : {"rope_scaling", "rope_parameters"})
    if (const Json rope = reader.get(key); rope.is_object() && rope.contains("mrope_section"))
      return rope["mrope_section"];
  reader.fail("rope_scaling", "has no mrope_section; Qwen2.5-VL needs one");
}

}  // namespace

Json read_vision_encoder(const std::filesystem::path& directory) {
  ConfigReader whole(directory / "config.json");
  const Architecture& architecture = find_architecture(whole);
  if (architecture.vision == nullptr) return nullptr;
  Json keys = {{"type", architecture.vision}};
  for (const char* id : kImageIds) {
    const Json value = whole.get(id);
    if (!value.is_number_integer()) whole.fail(id, "is missing; it must be a token id");
    keys[id] = value;
  }
  return keys;
}

Json read_hugging_face_config(const std::filesystem::path& directory) {
  ConfigReader whole(directory / "config.json");
  const Architecture& architecture = find_architecture(whole);
  ConfigReader reader = text_reader(whole, architecture);
  const Family& family = family_of(architecture.family);
  Json base = {{"family", architecture.family},
               {"vocab_size", reader.size("vocab_size")},
               {"tie_word_embeddings",
                reader.flag("tie_word_embeddings",
                            whole.flag("tie_word_embeddings",
                                       std::string(architecture.model_type) == "gpt2"))}};
  if (!family.rotary)
    read_gpt2(reader, architecture, base);
  else if (family.partial_rotary)
    read_gpt_neox(reader, architecture, base);
  else
    read_llama(reader, architecture, base);
  if (family.rotary) {
    if (!reader.get("max_position_embeddings").is_null())
      base["max_position_embeddings"] = reader.size("max_position_embeddings");
    read_rope(reader, architecture, base);
    if (architecture.vision != nullptr) base["mrope_section"] = read_mrope(reader);
  }
  // The dropout of a training is train.dropout; these are of the one that made the weights.
  if (family.layer_norm)
    reader.ignore({"attn_pdrop", "embd_pdrop", "resid_pdrop", "attention_dropout", "hidden_dropout",
                   "classifier_dropout", "is_decoder"});
  reader.refuse_unknown();
  return base;
}

namespace {

bool has_windows(const Architecture& architecture, const Json& base) {
  using Windows = Architecture::Windows;
  if (!base.contains("sliding_window")) return true;
  return architecture.windows == Windows::by_layer ||
         (architecture.windows == Windows::all && !base.contains("layer_types"));
}

/// The class of transformers that computes what this base does.
const Architecture& architecture_of(const Json& base) {
  const Family& family = family_of(base.at("family").get<std::string>());
  const bool bias = base.value("attention_bias", family.attention_bias);
  const bool qk_norm = base.value("qk_norm", family.qk_norm);
  const bool experts = base.value("num_experts", 0) > 0;
  for (const Architecture& architecture : architectures())
    if (std::string(architecture.family) == family.name &&
        (architecture.vision != nullptr) == base.contains("mrope_section") &&
        qk_norm == family.qk_norm && experts == family.needs_experts &&
        has_windows(architecture, base) &&
        (architecture.bias_key ||
         (bias == family.attention_bias && !base.value("mlp_bias", false))) &&
        (std::string(family.name) != "mixtral" || base.value("norm_topk_prob", true)))
      return architecture;
  throw ConfigError(fmt::format(
      "export: model.base: family {} with attention_bias {}, qk_norm {}, {} experts, "
      "norm_topk_prob "
      "{}, sliding_window {} and layer_types {} has no class in transformers; train with the "
      "family's defaults to export",
      base.at("family").dump(), bias, qk_norm, base.value("num_experts", 0),
      base.value("norm_topk_prob", true), base.value("sliding_window", Json()).dump(),
      base.value("layer_types", Json()).dump()));
}

void copy_keys(const Json& base, std::initializer_list<const char*> keys, Json& config) {
  for (const char* key : keys) config[key] = base.at(key);
}

void write_gpt2(const Json& base, Json& config) {
  for (const auto& [ours, theirs] :
       {std::pair{"hidden_size", "n_embd"}, std::pair{"num_hidden_layers", "n_layer"},
        std::pair{"num_attention_heads", "n_head"}, std::pair{"intermediate_size", "n_inner"},
        std::pair{"max_position_embeddings", "n_positions"},
        std::pair{"hidden_act", "activation_function"},
        std::pair{"layer_norm_eps", "layer_norm_epsilon"}})
    config[theirs] = base.at(ours);
  for (const char* key : {"attn_pdrop", "embd_pdrop", "resid_pdrop"}) config[key] = 0.0;
  // The class takes GPT-2's own ids by default and warns where the vocabulary has none such.
  constexpr int64_t kEndOfText = 50256;
  for (const char* key : {"bos_token_id", "eos_token_id"})
    if (base.at("vocab_size") <= kEndOfText) config[key] = nullptr;
}

void write_gpt_neox(const Json& base, Json& config) {
  copy_keys(base,
            {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
             "layer_norm_eps", "hidden_act", "attention_bias", "use_parallel_residual"},
            config);
  for (const char* key : {"attention_dropout", "hidden_dropout"}) config[key] = 0.0;
}

void write_llama(const Json& base, const Architecture& architecture, Json& config) {
  copy_keys(base,
            {"hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
             "head_dim", "rms_norm_eps", "hidden_act"},
            config);
  const Family& family = family_of(architecture.family);
  config["intermediate_size"] = base.value(
      family.needs_experts && !family.qk_norm ? "moe_intermediate_size" : "intermediate_size",
      base.value("moe_intermediate_size", Json(nullptr)));
  config["attention_dropout"] = 0.0;
  write_windows(base, architecture, config);
  if (architecture.bias_key) config["attention_bias"] = base.at("attention_bias");
  if (family.mlp_bias_key && architecture.bias_key) config["mlp_bias"] = base.at("mlp_bias");
  if (!family.needs_experts) return;
  copy_keys(base, {"num_experts_per_tok", "router_aux_loss_coef"}, config);
  const bool mixtral = std::string(family.name) == "mixtral";
  config[mixtral ? "num_local_experts" : "num_experts"] = base.at("num_experts");
  if (!mixtral) copy_keys(base, {"moe_intermediate_size", "norm_topk_prob"}, config);
}

/// The longest sample that the model is meant for.
int64_t longest_sample(const Json& base, int64_t otherwise) {
  if (base.contains("max_position_embeddings")) return base.at("max_position_embeddings");
  const Json rope = base.value("rope_scaling", Json::object());
  if (rope.value("rope_type", "") != "yarn") return otherwise;
  return static_cast<int64_t>(rope.at("factor").get<double>() *
                              rope.at("original_max_position_embeddings").get<double>());
}

}  // namespace

Json make_hugging_face_config(const Json& base, int64_t max_position_embeddings) {
  require<ConfigError>(
      base.value("router_bias_update_rate", 0.0) == 0,
      "export: model.base.router_bias_update_rate: transformers' classes choose "
      "experts without a bias and would choose others; train without it to export");
  const Architecture& architecture = architecture_of(base);
  const Family& family = family_of(architecture.family);
  Json config = {{"architectures", {architecture.name}}, {"model_type", architecture.model_type}};
  copy_keys(base, {"vocab_size", "tie_word_embeddings", "initializer_range"}, config);
  if (!family.rotary) {
    write_gpt2(base, config);
    return config;
  }
  if (family.partial_rotary)
    write_gpt_neox(base, config);
  else
    write_llama(base, architecture, config);
  config["max_position_embeddings"] = longest_sample(base, max_position_embeddings);
  write_rope(base, config);
  return config;
}

}  // namespace veomni
