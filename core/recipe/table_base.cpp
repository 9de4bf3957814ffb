// The keys under `model.base`: names are those of Hugging Face's config.json, families those of core/recipe/family.h.
#include "core/recipe/family.h"
#include "core/recipe/table.h"

namespace veomni {

namespace {
using Type = Key::Type;
constexpr double kMaxWidth = 1 << 20, kMaxLength = 1 << 30;

Key size_key(const std::string& name, const std::string& doc, bool required,
             double maximum = kMaxWidth) {
  return {.name = name,
          .type = Type::integer,
          .doc = doc,
          .required = required,
          .minimum = 1,
          .maximum = maximum};
}

Key flag_key(const std::string& name, const std::string& doc, Json value) {
  return {.name = name, .type = Type::boolean, .doc = doc, .default_value = std::move(value)};
}

Key positive_key(const std::string& name, const std::string& doc, Json value) {
  return {.name = name,
          .type = Type::number,
          .doc = doc,
          .default_value = std::move(value),
          .minimum = 0,
          .exclusive_minimum = true};
}

Key required_key(Key key) {
  key.required = true;
  return key;
}

Key coefficient_key(const std::string& name, const std::string& doc) {
  return {.name = name, .type = Type::number, .doc = doc, .minimum = 0, .maximum = 1e6};
}

/// Keys of mixture-of-experts layers; their defaults apply only with num_experts (complete.cpp).
Keys expert_keys(bool required) {
  return {
      {.name = "num_experts",
       .type = Type::integer,
       .doc = "experts of each layer; 0: dense layers",
       .default_value = required ? Json(nullptr) : Json(0),
       .required = required,
       .minimum = required ? 1 : 0,
       .maximum = 4096},
      size_key("num_experts_per_tok", "experts that each token visits; needed with num_experts",
               false),
      size_key("moe_intermediate_size", "width of one expert; intermediate_size by default", false),
      flag_key("norm_topk_prob",
               "divide the chosen router probabilities by their sum; true by default with experts",
               nullptr),
      coefficient_key("router_aux_loss_coef",
                      "weight of the load-balance loss; 0.001 by default with experts"),
      coefficient_key("router_z_loss_coef",
                      "weight of the router z-loss; 0 by default with experts"),
      {.name = "balance",
       .type = Type::string,
       .doc = "fractions in the load-balance loss: the last step's, or the pack's own; step by "
              "default "
              "with experts",
       .choices = {"step", "pack"}},
      coefficient_key("router_bias_update_rate",
                      "what an expert's bias in the choice of experts changes by after a step, "
                      "towards an even load without a loss for it (arXiv:2408.15664 takes 0.001); "
                      "0, no bias, by default with experts"),
      flag_key("router_force_balance",
               "for benchmarks: in training experts take turns, whatever the router says; false by "
               "default with experts",
               nullptr)};
}

Key rope_scaling_key() {
  Key factor = required_key({.name = "factor",
                             .type = Type::number,
                             .doc = "how much longer contexts get",
                             .minimum = 1});
  const Key original =
      size_key("original_max_position_embeddings",
               "tokens the frequencies were made for; max_position_embeddings by default", false,
               kMaxLength);
  const Keys llama3{
      factor, original,
      required_key(positive_key("low_freq_factor",
                                "turns in the original length below which waves are "
                                "stretched by factor",
                                nullptr)),
      required_key(positive_key("high_freq_factor",
                                "turns in the original length above which waves stay", nullptr))};
  const Keys yarn{
      factor,
      original,
      positive_key("attention_factor",
                   "multiplies sines and cosines; 0.1 ln(factor) + 1 by default", nullptr),
      positive_key("beta_fast", "turns above which frequencies stay", 32),
      positive_key("beta_slow", "turns below which frequencies are divided", 1),
      positive_key("mscale", "with mscale_all_dim: decides attention_factor", nullptr),
      positive_key("mscale_all_dim", "with mscale: decides attention_factor", nullptr),
      flag_key("truncate", "the ramp begins and ends at whole dims", true)};
  return {.name = "rope_scaling",
          .type = Type::object,
          .doc =
              "rotary positions for contexts longer than the original ones, as transformers has "
              "them",
          .keys = {{.name = "rope_type", .type = Type::string, .doc = "how", .required = true}},
          .variant_key = "rope_type",
          .variants = {{"linear", "every frequency is divided by factor", {factor}},
                       {"dynamic",
                        "NTK-aware: theta grows with a sample's length beyond "
                        "max_position_embeddings",
                        {factor}},
                       {"llama3", "long waves are stretched by factor, short ones kept", llama3},
                       {"yarn", "the same by dims, and attention is sharpened", yarn}}};
}

Keys position_keys(const Family& family) {
  Key longest = size_key("max_position_embeddings",
                         family.rotary ? "longest sample meant; config.json gets it"
                                       : "longest sample: rows of the learned positions",
                         false, kMaxLength);
  if (!family.rotary) longest.default_value = 1024;
  if (!family.rotary) return {longest};
  Keys keys{longest, positive_key("rope_theta", "base of the rotary position frequencies", 10000.0),
            rope_scaling_key()};
  if (family.partial_rotary) {
    keys.push_back({.name = "rotary_pct",
                    .type = Type::number,
                    .doc = "part of each head that rotates",
                    .default_value = 0.25,
                    .minimum = 0,
                    .maximum = 1,
                    .exclusive_minimum = true});
    return keys;
  }
  keys.push_back({.name = "mrope_section",
                  .type = Type::array,
                  .doc = "frequencies of a head that turn by a token's time, row and column, as "
                         "Qwen2.5-VL places images; left out: by one position",
                  .minimum = 3,
                  .maximum = 3,
                  .items = {{.name = "", .type = Type::integer, .doc = "how many", .minimum = 0}}});
  keys.push_back(size_key("sliding_window",
                          "tokens that each token sees, itself included; left out: all before it",
                          false, kMaxLength));
  keys.push_back({.name = "layer_types",
                  .type = Type::array,
                  .doc = "with sliding_window: which layers have it; left out: all",
                  .items = {{.name = "",
                             .type = Type::string,
                             .doc = "attention of one layer",
                             .choices = {"full_attention", "sliding_attention"}}}});
  return keys;
}

/// Norms, biases and the other variations of the block.
Keys variation_keys(const Family& family) {
  Keys keys{family.layer_norm
                ? positive_key("layer_norm_eps", "added to the variance in LayerNorm", 1e-5)
                : positive_key("rms_norm_eps", "added to the mean square in RMSNorm", 1e-6),
            {.name = "initializer_range",
             .type = Type::number,
             .doc = "standard deviation of the initial weights",
             .default_value = 0.02,
             .minimum = 0,
             .maximum = 10},
            {.name = "hidden_act",
             .type = Type::string,
             .doc = "activation function of the feed-forward layers",
             .default_value = family.hidden_act,
             .choices = activation_names()}};
  if (family.attention_bias_key)
    keys.push_back(flag_key("attention_bias",
                            family.output_bias
                                ? "bias on the query, key, value and output projections"
                                : "bias on the query, key and value projections",
                            family.attention_bias));
  if (family.mlp_bias_key)
    keys.push_back(flag_key("mlp_bias", "bias on the feed-forward projections", false));
  if (family.qk_norm_key)
    keys.push_back(flag_key("qk_norm", "RMSNorm on each head of queries and keys", family.qk_norm));
  if (family.parallel_residual)
    keys.push_back(flag_key("use_parallel_residual",
                            "attention and feed-forward read the same residual stream", true));
  keys.push_back(
      flag_key("tie_word_embeddings", "the text decoder shares the token embedding", true));
  return keys;
}

Keys base_keys(const Family& family) {
  Keys keys{
      size_key("hidden_size", "width of the residual stream", true),
      size_key("intermediate_size",
               family.gated_mlp ? "width of the feed-forward layers"
                                : "width of the feed-forward layers; 4 hidden_size by default",
               false),
      {.name = "num_hidden_layers",
       .type = Type::integer,
       .doc = "Transformer blocks",
       .required = true,
       .minimum = 1,
       .maximum = 1 << 14},
      size_key("num_attention_heads", "query heads", true)};
  const auto add = [&](const Keys& more) { keys.insert(keys.end(), more.begin(), more.end()); };
  if (family.grouped_heads)
    add({size_key("num_key_value_heads", "key and value heads; num_attention_heads by default",
                  false),
         size_key("head_dim", "width of a head; hidden_size / num_attention_heads by default",
                  false)});
  add({{.name = "vocab_size",
        .type = Type::integer,
        .doc = "rows of the token embedding; as many as the tokenizer has by default",
        .minimum = 1,
        .maximum = 1 << 24}});
  if (family.expert_keys) add(expert_keys(family.needs_experts));
  add(position_keys(family));
  add(variation_keys(family));
  return keys;
}

}  // namespace

Key base_key() {
  Key key{
      .name = "base",
      .type = Type::object,
      .doc = "the Transformer or mixture-of-experts model all parts share; required without from",
      .keys = {{.name = "family",
                .type = Type::string,
                .doc = "decides norms, positions, feed-forward, and the defaults of biases, "
                       "q/k-norm and experts",
                .default_value = "llama"}},
      .variant_key = "family"};
  for (const Family& family : families())
    key.variants.push_back({family.name, family.doc, base_keys(family)});
  return key;
}

}  // namespace veomni
