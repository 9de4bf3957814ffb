#include "core/hugging_face/config.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "core/data/text.h"
#include "core/error.h"

namespace veomni {
namespace {

struct Family {
  const char* model_type;
  const char* base_family;
  const char* architecture;
  bool qkv_bias, qk_norm, experts;
};

constexpr std::array kFamilies = {
    Family{"llama", "llama", "LlamaForCausalLM", false, false, false},
    Family{"mistral", "llama", "MistralForCausalLM", false, false, false},
    Family{"qwen2", "qwen2", "Qwen2ForCausalLM", true, false, false},
    Family{"qwen3", "qwen3", "Qwen3ForCausalLM", false, true, false},
    Family{"qwen3_moe", "qwen3_moe", "Qwen3MoeForCausalLM", false, true, true},
};

/// Say how a checkpoint is used or was made, not what the model computes in training.
const std::set<std::string> kWithoutEffect = {"_name_or_path",
                                              "architectures",
                                              "auto_map",
                                              "bos_token_id",
                                              "eos_token_id",
                                              "pad_token_id",
                                              "dtype",
                                              "torch_dtype",
                                              "transformers_version",
                                              "use_cache",
                                              "max_position_embeddings",
                                              "pretraining_tp",
                                              "max_window_layers",
                                              "output_router_logits",
                                              "model_type",
                                              "initializer_range",
                                              "return_dict",
                                              "output_hidden_states",
                                              "output_attentions",
                                              "id2label",
                                              "label2id",
                                              "problem_type",
                                              "is_encoder_decoder",
                                              "chunk_size_feed_forward",
                                              "bad_words_ids",
                                              "task_specific_params",
                                              "unk_token_id",
                                              "tokenizer_class",
                                              "num_nextn_predict_layers"};

class Reader {
 public:
  explicit Reader(const std::filesystem::path& file)
      : name_(file.string()),
        json_(parse_located_json(read_text_file(name_, kJsonBytes), name_).value) {
    require<ConfigError>(json_.is_object(), "{}: is no JSON object", name_);
  }

  [[noreturn]] void fail(const std::string& key, const std::string& message) const {
    throw ConfigError(fmt::format("{}: {}: {}", name_, shown(key), message));
  }

  /// The value, null when the key is absent or null. Every key asked for counts as known.
  Json get(const std::string& key) {
    known_.insert(key);
    return json_.value(key, Json(nullptr));
  }

  int64_t size(const std::string& key, int64_t otherwise = 0) {
    const Json value = get(key);
    if (value.is_null() && otherwise > 0) return otherwise;
    if (!value.is_number_integer() || value.get<int64_t>() < 1)
      fail(key, "must be a positive integer");
    return value.get<int64_t>();
  }

  double number(const std::string& key, double otherwise) {
    const Json value = get(key);
    if (value.is_null()) return otherwise;
    if (!value.is_number()) fail(key, "must be a number");
    return value.get<double>();
  }

  bool flag(const std::string& key, bool otherwise) {
    const Json value = get(key);
    if (value.is_null()) return otherwise;
    if (!value.is_boolean()) fail(key, "must be true or false");
    return value.get<bool>();
  }

  /// Anything but `only` (or absent) is refused.
  void expect(const std::string& key, const Json& only) {
    const Json value = get(key);
    if (!value.is_null() && value != only)
      fail(key,
           fmt::format("{} is not supported; only {} is", json_excerpt(value), json_excerpt(only)));
  }

  void refuse_unknown() const {
    for (const auto& [key, value] : json_.items())
      if (!known_.contains(key) && !kWithoutEffect.contains(key))
        fail(key, "unknown key; it may change what the model computes, so it is not ignored");
  }

 private:
  std::string name_;
  Json json_;
  std::set<std::string> known_;
};

const Family& find_family(Reader& reader) {
  const Json type = reader.get("model_type");
  for (const Family& family : kFamilies)
    if (type == family.model_type) return family;
  reader.fail("model_type",
              fmt::format("{} is not supported; llama, mistral, qwen2, qwen3 and qwen3_moe are",
                          json_excerpt(type)));
}

double rope_theta(Reader& reader) {
  double theta = reader.number("rope_theta", 10000.0);
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    const Json rope = reader.get(key);
    if (rope.is_null()) continue;
    if (!rope.is_object()) reader.fail(key, "must be an object");
    for (const auto& [name, value] : rope.items()) {
      if (name == "rope_theta" && value.is_number())
        theta = value.get<double>();
      else if ((name != "rope_type" && name != "type") || value != "default")
        reader.fail(
            key, fmt::format("{} {} is not supported; only the default rotary positions are", name,
                             json_excerpt(value)));
    }
  }
  return theta;
}

/// Attention within a window is another computation, unless no sample can be longer than the window.
void refuse_windows(Reader& reader, const Family& family) {
  const Json window = reader.get("sliding_window"), longest = reader.get("max_position_embeddings");
  const bool asked = reader.flag("use_sliding_window", std::string(family.model_type) == "mistral");
  const bool reached = !window.is_number() || !longest.is_number() || window < longest;
  if (asked && !window.is_null() && reached)
    reader.fail("sliding_window",
                fmt::format("{} is not supported; only attention over whole samples is",
                            json_excerpt(window)));
  const Json layers = reader.get("layer_types");
  for (const Json& layer : layers.is_array() ? layers : Json::array())
    if (layer != "full_attention")
      reader.fail("layer_types",
                  fmt::format("{} is not supported; only full_attention is", json_excerpt(layer)));
}

void read_experts(Reader& reader, Json& base) {
  const bool local = !reader.get("num_local_experts").is_null();
  reader.get("num_experts");
  base["num_experts"] = reader.size(local ? "num_local_experts" : "num_experts");
  base["num_experts_per_tok"] = reader.size("num_experts_per_tok");
  base["moe_intermediate_size"] = reader.size("moe_intermediate_size");
  base["norm_topk_prob"] = reader.flag("norm_topk_prob", false);
  base["router_aux_loss_coef"] = reader.number("router_aux_loss_coef", 0.001);
  reader.expect("decoder_sparse_step", 1);
  reader.expect("mlp_only_layers", Json::array());
}

}  // namespace

Json read_hugging_face_config(const std::filesystem::path& directory) {
  Reader reader(directory / "config.json");
  const Family& family = find_family(reader);
  const int64_t heads = reader.size("num_attention_heads"), hidden = reader.size("hidden_size");
  Json base = {{"family", family.base_family},
               {"hidden_size", hidden},
               {"intermediate_size", reader.size("intermediate_size")},
               {"num_hidden_layers", reader.size("num_hidden_layers")},
               {"num_attention_heads", heads},
               {"num_key_value_heads", reader.size("num_key_value_heads", heads)},
               {"head_dim", reader.size("head_dim", std::max<int64_t>(1, hidden / heads))},
               {"vocab_size", reader.size("vocab_size")},
               {"rope_theta", rope_theta(reader)},
               {"rms_norm_eps", reader.number("rms_norm_eps", 1e-6)},
               {"attention_bias", family.qkv_bias},
               {"qk_norm", family.qk_norm},
               {"tie_word_embeddings", reader.flag("tie_word_embeddings", false)}};
  if (family.experts) read_experts(reader, base);
  if (!family.qkv_bias) reader.expect("attention_bias", false);
  reader.expect("mlp_bias", false);
  reader.expect("hidden_act", "silu");
  reader.expect("attention_dropout", 0.0);
  refuse_windows(reader, family);
  reader.refuse_unknown();
  return base;
}

Json make_hugging_face_config(const Json& base, int64_t max_position_embeddings) {
  const auto family =
      std::find_if(kFamilies.begin(), kFamilies.end(), [&](const Family& candidate) {
        return base.at("family") == candidate.base_family &&
               base.at("attention_bias") == candidate.qkv_bias &&
               base.at("qk_norm") == candidate.qk_norm;
      });
  require<ConfigError>(
      family != kFamilies.end(),
      "export: model.base: family {} with attention_bias {} and qk_norm {} has no class in "
      "transformers; train with the family's defaults to export",
      base.at("family").dump(), base.at("attention_bias").dump(), base.at("qk_norm").dump());
  Json config = {{"architectures", {family->architecture}},
                 {"model_type", family->model_type},
                 {"hidden_act", "silu"}};
  for (const char* key : {"hidden_size", "num_hidden_layers", "num_attention_heads",
                          "num_key_value_heads", "head_dim", "vocab_size", "rope_theta",
                          "rms_norm_eps", "tie_word_embeddings", "initializer_range"})
    config[key] = base.at(key);
  config["intermediate_size"] =
      base.value("intermediate_size", base.value("moe_intermediate_size", Json(nullptr)));
  config["max_position_embeddings"] = max_position_embeddings;
  config["attention_dropout"] = 0.0;
  config["rope_scaling"] = nullptr;
  if (!family->qkv_bias) config["attention_bias"] = false;
  if (family->experts)
    for (const char* key : {"num_experts", "num_experts_per_tok", "moe_intermediate_size",
                            "norm_topk_prob", "router_aux_loss_coef"})
      config[key] = base.at(key);
  return config;
}

}  // namespace veomni
