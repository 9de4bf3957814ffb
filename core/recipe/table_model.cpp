// The keys under `model`: the base model's names are those of Hugging Face's config.json.
#include "core/recipe/table.h"

namespace veomni {

namespace {
using Type = Key::Type;
constexpr double kMaxWidth = 1 << 20;

Key size_key(const std::string& name, const std::string& doc, bool required) {
  return {.name = name,
          .type = Type::integer,
          .doc = doc,
          .required = required,
          .minimum = 1,
          .maximum = kMaxWidth};
}

Key flag_key(const std::string& name, const std::string& doc, Json value) {
  return {.name = name, .type = Type::boolean, .doc = doc, .default_value = std::move(value)};
}

Key positive_key(const std::string& name, const std::string& doc, double value) {
  return {.name = name,
          .type = Type::number,
          .doc = doc,
          .default_value = value,
          .minimum = 0,
          .exclusive_minimum = true};
}

Key coefficient_key(const std::string& name, const std::string& doc) {
  return {.name = name, .type = Type::number, .doc = doc, .minimum = 0, .maximum = 1e6};
}

/// Keys of mixture-of-experts layers; their defaults apply only with num_experts (recipe.cpp).
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
       .choices = {"step", "pack"}}};
}

Keys base_keys(bool attention_bias, bool qk_norm, bool experts) {
  Keys keys{
      size_key("hidden_size", "width of the residual stream", true),
      size_key("intermediate_size", "width of the feed-forward layers", false),
      {.name = "num_hidden_layers",
       .type = Type::integer,
       .doc = "Transformer blocks",
       .required = true,
       .minimum = 1,
       .maximum = 1 << 14},
      size_key("num_attention_heads", "query heads", true),
      size_key("num_key_value_heads", "key and value heads; num_attention_heads by default", false),
      size_key("head_dim", "width of a head; hidden_size / num_attention_heads by default", false),
      {.name = "vocab_size",
       .type = Type::integer,
       .doc = "rows of the token embedding; as many as the tokenizer has by default",
       .minimum = 1,
       .maximum = 1 << 24}};
  const Keys moe = expert_keys(experts);
  keys.insert(keys.end(), moe.begin(), moe.end());
  const Keys rest{
      positive_key("rope_theta", "base of the rotary position frequencies", 10000.0),
      positive_key("rms_norm_eps", "added to the mean square in RMSNorm", 1e-6),
      {.name = "initializer_range",
       .type = Type::number,
       .doc = "standard deviation of the initial weights",
       .default_value = 0.02,
       .minimum = 0,
       .maximum = 10},
      flag_key("attention_bias", "bias on the query, key and value projections", attention_bias),
      flag_key("qk_norm", "RMSNorm on each head of queries and keys", qk_norm),
      flag_key("tie_word_embeddings", "the text decoder shares the token embedding", true)};
  keys.insert(keys.end(), rest.begin(), rest.end());
  return keys;
}

Key base_key() {
  return {
      .name = "base",
      .type = Type::object,
      .doc = "the Transformer or mixture-of-experts model all parts share; required without from",
      .keys = {{.name = "family",
                .type = Type::string,
                .doc = "decides the defaults of biases, q/k-norm and experts",
                .default_value = "llama"}},
      .variant_key = "family",
      .variants = {{"llama", "no biases, no q/k-norm", base_keys(false, false, false)},
                   {"qwen2", "biases on q, k and v", base_keys(true, false, false)},
                   {"qwen3", "RMSNorm on each head of q and k", base_keys(false, true, false)},
                   {"qwen3_moe", "q/k-norm and experts", base_keys(false, true, true)}}};
}

Key tables_key() {
  const Key table{
      .name = "",
      .type = Type::object,
      .doc = "an embedding table",
      .keys = {{.name = "rows",
                .type = Type::integer,
                .doc = "rows of the table",
                .required = true,
                .minimum = 1,
                .maximum = 1e9},
               size_key("dim", "width of a row", true),
               {.name = "hash",
                .type = Type::string,
                .doc = "xxh64: values hash into rows; left out: a vocabulary numbers them",
                .choices = {"xxh64"}},
               reserved_key("placement"),
               reserved_key("optimizer")}};
  return {.name = "tables",
          .type = Type::object,
          .doc = "embedding tables that columns of several encoders may share",
          .default_value = Json::object(),
          .items = {table}};
}

Key weight_key() {
  return {.name = "weight",
          .type = Type::number,
          .doc = "fixed weight of its loss",
          .default_value = 1.0,
          .minimum = 0,
          .maximum = 1e9};
}

/// Parts of one kind: "type" picks the keys from the registry.
Key parts_key(const std::string& name, const std::string& doc, SpecRegistry::Kind kind) {
  Key part{.name = "", .type = Type::object, .doc = "a part", .variant_key = "type"};
  part.keys = {{.name = "type",
                .type = Type::string,
                .doc = "which kind of part",
                .required = true,
                .minimum = 1}};
  if (kind != SpecRegistry::Kind::encoder) part.keys.push_back(weight_key());
  if (kind == SpecRegistry::Kind::head) {
    part.keys.push_back(
        {.name = "given",
         .type = Type::string,
         .doc = "binary head whose event comes first: this head's probability is multiplied by "
                "its probability, so both train on all rows (ESMM, Ma et al. 2018)"});
    part.keys.push_back(reserved_key("mix"));
  }
  for (const PartSpec& spec : specs().all(kind)) {
    part.variants.push_back({spec.type, spec.doc, spec.keys});
  }
  // Without any registered type a table without variants would accept every key.
  if (part.variants.empty()) part.variants.push_back({"", "", {}});
  return {.name = name,
          .type = Type::object,
          .doc = doc,
          .default_value = Json::object(),
          .items = {part}};
}
}  // namespace

Key model_key() {
  return {.name = "model",
          .type = Type::object,
          .doc = "encoders, base model, decoders and heads",
          .required = true,
          .keys = {{.name = "from",
                    .type = Type::string,
                    .doc = "directory of a Hugging Face model: its config.json gives base, its "
                           "weights the start"},
                   base_key(),
                   tables_key(),
                   parts_key("encoders", "parts that turn segments into embeddings",
                             SpecRegistry::Kind::encoder),
                   parts_key("decoders", "parts that predict a segment's tokens",
                             SpecRegistry::Kind::decoder),
                   parts_key("heads", "tasks that read one hidden state of a sample",
                             SpecRegistry::Kind::head),
                   reserved_key("lora"),
                   reserved_key("teachers")}};
}

}  // namespace veomni
