// Defaults that depend on other keys.
#include <filesystem>

#include "core/error.h"
#include "core/recipe/chat_config.h"
#include "core/recipe/checks.h"
#include "core/recipe/family.h"

namespace veomni {

namespace {

int64_t size_of(const Json& base, const char* name) { return base.value(name, int64_t{0}); }

void complete_experts(Json& base, const Document& document, const Path& path) {
  const int64_t experts = size_of(base, "num_experts");
  if (experts == 0) {
    for (const char* name :
         {"num_experts_per_tok", "moe_intermediate_size", "norm_topk_prob", "router_aux_loss_coef",
          "router_z_loss_coef", "balance", "router_bias_update_rate", "router_force_balance"}) {
      if (!base.contains(name)) continue;
      document.fail_key(child(path, name), "has no effect without num_experts; remove it");
    }
    return;
  }
  if (!base.contains("num_experts_per_tok")) {
    document.fail_value(path, "missing key 'num_experts_per_tok' (experts that each token visits)");
  }
  const int64_t chosen = size_of(base, "num_experts_per_tok");
  if (chosen > experts) {
    document.fail_value(
        child(path, "num_experts_per_tok"),
        fmt::format("{} is more than num_experts = {}; give at most that", chosen, experts));
  }
  if (!base.contains("moe_intermediate_size")) {
    if (!base.contains("intermediate_size")) {
      document.fail_value(path, "missing key 'moe_intermediate_size' (width of one expert)");
    }
    base["moe_intermediate_size"] = base["intermediate_size"];
  }
  const Json defaults{{"norm_topk_prob", true},         {"router_aux_loss_coef", 0.001},
                      {"router_z_loss_coef", 0.0},      {"balance", "step"},
                      {"router_bias_update_rate", 0.0}, {"router_force_balance", false}};
  for (const auto& [name, value] : defaults.items()) {
    if (!base.contains(name)) base[name] = value;
  }
  if (base["router_force_balance"] == true && base["router_bias_update_rate"] > 0)
    document.fail_key(child(path, "router_bias_update_rate"),
                      "has no effect with router_force_balance; leave one out");
}

/// head_dim, which a family without grouped heads has no key for.
int64_t plain_head_dim(const Json& base, const Document& document, const Path& path) {
  const int64_t hidden = size_of(base, "hidden_size"), heads = size_of(base, "num_attention_heads");
  if (hidden % heads != 0 || hidden / heads % 2 != 0)
    document.fail_value(child(path, "num_attention_heads"),
                        fmt::format("hidden_size / {} = {}/{} must be an even integer; change one",
                                    heads, hidden, heads));
  return hidden / heads;
}

int64_t complete_heads(Json& base, const Document& document, const Path& path) {
  const int64_t hidden = size_of(base, "hidden_size"), heads = size_of(base, "num_attention_heads");
  if (!base.contains("num_key_value_heads")) base["num_key_value_heads"] = heads;
  const int64_t kv_heads = size_of(base, "num_key_value_heads");
  if (heads % kv_heads != 0) {
    document.fail_value(child(path, "num_key_value_heads"),
                        fmt::format("{} must divide num_attention_heads = {}", kv_heads, heads));
  }
  if (!base.contains("head_dim")) {
    if (hidden % heads != 0) {
      document.fail_value(
          child(path, "num_attention_heads"),
          fmt::format("{} must divide hidden_size = {}; or give head_dim", heads, hidden));
    }
    base["head_dim"] = hidden / heads;
  }
  const int64_t head_dim = size_of(base, "head_dim");
  if (head_dim % 2 != 0) {
    const Path at = document.value().contains(Json::json_pointer("/model/base/head_dim"))
                        ? child(path, "head_dim")
                        : path;
    document.fail_value(
        at, fmt::format("head_dim is {}, but rotary positions need an even one; change it, "
                        "or hidden_size / num_attention_heads",
                        head_dim));
  }
  return head_dim;
}

void complete_rope(Json& base, const Document& document, const Path& path, int64_t head_dim) {
  const double part = base.value("rotary_pct", 1.0);
  const auto dims = static_cast<int64_t>(static_cast<double>(head_dim) * part);
  if (dims < 2 || dims % 2 != 0)
    document.fail_value(child(path, "rotary_pct"),
                        fmt::format("{} of a head of {} is {} dims, which must be an even number",
                                    part, head_dim, dims));
  if (base.contains("mrope_section")) {
    int64_t pairs = 0;
    for (const Json& section : base["mrope_section"]) pairs += section.get<int64_t>();
    if (pairs != dims / 2)
      document.fail_value(child(path, "mrope_section"),
                          fmt::format("adds up to {}, must be head_dim / 2 = {}", pairs, dims / 2));
    if (base.value("rope_scaling", Json::object()).value("rope_type", "") == "dynamic")
      document.fail_value(child(path, "rope_scaling"),
                          "dynamic goes by one position a token; leave it or mrope_section out");
  }
  if (!base.contains("rope_scaling")) return;
  Json& rope = base["rope_scaling"];
  const Path here = child(path, "rope_scaling");
  const auto type = rope.at("rope_type").get<std::string>();
  const char* original = "original_max_position_embeddings";
  if (type == "linear" || rope.contains(original)) return;
  if (!base.contains("max_position_embeddings"))
    document.fail_value(type == "dynamic" ? path : here,
                        fmt::format("missing key '{}' (tokens the frequencies were made for)",
                                    type == "dynamic" ? "max_position_embeddings" : original));
  if (type == "dynamic" && dims < 4)
    document.fail_value(here, "dynamic needs at least 4 rotary dims; change head_dim");
  if (type != "dynamic") rope[original] = base["max_position_embeddings"];
}

void check_windows(const Json& base, const Document& document, const Path& path) {
  if (!base.contains("layer_types")) return;
  const Path here = child(path, "layer_types");
  const auto layers = static_cast<size_t>(size_of(base, "num_hidden_layers"));
  if (base["layer_types"].size() != layers)
    document.fail_value(here, fmt::format("has {} entries, must have one for each of the {} layers",
                                          base["layer_types"].size(), layers));
  if (!base.contains("sliding_window"))
    document.fail_key(here, "has no effect without sliding_window; remove it, or give one");
}

void check_experts_are_swiglu(const Json& base, const Document& document, const Path& path) {
  if (size_of(base, "num_experts") == 0) return;
  const auto act = base.value("hidden_act", std::string("silu"));
  if (act != "silu" && act != "swish")
    document.fail_value(child(path, "hidden_act"),
                        "experts are SwiGLU; leave it out, or leave num_experts out");
  if (base.value("mlp_bias", false))
    document.fail_value(child(path, "mlp_bias"), "experts have no biases; leave it out");
}

std::string absolute(const std::filesystem::path& folder, const std::string& path) {
  return (folder / path).lexically_normal().string();
}

void make_absolute(Json& paths, const std::filesystem::path& folder) {
  if (paths.is_string()) {
    paths = absolute(folder, paths.get<std::string>());
  } else {
    for (Json& path : paths) path = absolute(folder, path.get<std::string>());
  }
}

void complete_segments(Json& source, const std::filesystem::path& folder) {
  const auto format = source["format"].get<std::string>();
  for (Json& segment : source["sample"]) {
    const bool chat = is_chat_format(format) && segment["part"] == "text";
    if (!segment.contains("learn"))
      segment["learn"] = chat ? Json::array({"assistant"}) : Json(false);
    if (chat && !segment.contains("messages") && format != "alpaca")
      segment["messages"] = format == "sharegpt" ? "conversations" : "messages";
    if (chat && !segment.contains("template")) segment["template"] = "tokenizer";
    if (segment.contains("template") && segment["template"] != "tokenizer")
      make_absolute(segment["template"], folder);
  }
}

}  // namespace

void complete_base(Json& base, const Document& document) {
  const Path path{"model", "base"};
  const Family& family = family_of(base.at("family").get<std::string>());
  const int64_t head_dim = family.grouped_heads ? complete_heads(base, document, path)
                                                : plain_head_dim(base, document, path);
  if (family.rotary) complete_rope(base, document, path, head_dim);
  check_windows(base, document, path);
  if (family.expert_keys) complete_experts(base, document, path);
  check_experts_are_swiglu(base, document, path);
  if (base.contains("intermediate_size") || size_of(base, "num_experts") > 0) return;
  if (family.gated_mlp)
    document.fail_value(path, "missing key 'intermediate_size' (width of the feed-forward layers)");
  base["intermediate_size"] = 4 * size_of(base, "hidden_size");
}

void complete_rest(Json& resolved, const std::string& recipe_path) {
  const std::filesystem::path file(recipe_path);
  if (!resolved.contains("name")) {
    const std::string stem = file.stem().string();
    resolved["name"] = stem.empty() ? "run" : stem;
  }
  const std::filesystem::path folder = file.parent_path();
  if (!resolved.contains("output"))
    resolved["output"] = "runs/" + resolved["name"].get<std::string>();
  resolved["output"] = absolute(folder, resolved["output"].get<std::string>());
  if (resolved.contains("tokenizer")) {
    Json& tokenizer = resolved["tokenizer"];
    if (tokenizer != "characters" && tokenizer != "bytes") make_absolute(tokenizer, folder);
  }
  for (Json& source : resolved["data"]["sources"]) {
    make_absolute(source["path"], folder);
    if (source.contains("labels")) make_absolute(source["labels"], folder);
    complete_segments(source, folder);
    if (source["format"] == "text" && !source.contains("sample_tokens")) {
      source["sample_tokens"] = resolved["train"]["pack_tokens"];
    }
  }
}

}  // namespace veomni
