#include "core/recipe/recipe.h"

#include <filesystem>

#include "core/error.h"
#include "core/recipe/chat_config.h"
#include "core/recipe/checks.h"
#include "core/recipe/document.h"
#include "core/recipe/family.h"
#include "core/recipe/resolve.h"
#include "core/recipe/table.h"

namespace veomni {

namespace {

template <class Value>
void take(const Json& object, const char* name, Value& value) {
  if (const auto found = object.find(name); found != object.end()) found->get_to(value);
}

RopeScalingConfig read_rope_scaling(const Json& json) {
  RopeScalingConfig rope;
  take(json, "rope_type", rope.rope_type);
  take(json, "factor", rope.factor);
  take(json, "original_max_position_embeddings", rope.original_max_position_embeddings);
  take(json, "low_freq_factor", rope.low_freq_factor);
  take(json, "high_freq_factor", rope.high_freq_factor);
  take(json, "beta_fast", rope.beta_fast);
  take(json, "beta_slow", rope.beta_slow);
  take(json, "attention_factor", rope.attention_factor);
  take(json, "mscale", rope.mscale);
  take(json, "mscale_all_dim", rope.mscale_all_dim);
  take(json, "truncate", rope.truncate);
  return rope;
}

/// What a family always has stands in no key.
void apply_family(BaseConfig& base) {
  const Family& family = family_of(base.family);
  if (!family.rotary) base.rope_theta = 0;
  if (!family.attention_bias_key) base.attention_bias = family.attention_bias;
  if (!family.mlp_bias_key) base.mlp_bias = family.mlp_bias;
  if (family.grouped_heads) return;
  base.num_key_value_heads = base.num_attention_heads;
  base.head_dim = base.hidden_size / base.num_attention_heads;
}

BaseConfig read_base(const Json& json) {
  BaseConfig base;
  take(json, "family", base.family);
  take(json, "hidden_size", base.hidden_size);
  take(json, "intermediate_size", base.intermediate_size);
  take(json, "num_hidden_layers", base.num_hidden_layers);
  take(json, "num_attention_heads", base.num_attention_heads);
  take(json, "num_key_value_heads", base.num_key_value_heads);
  take(json, "head_dim", base.head_dim);
  take(json, "vocab_size", base.vocab_size);
  take(json, "max_position_embeddings", base.max_position_embeddings);
  take(json, "num_experts", base.num_experts);
  take(json, "num_experts_per_tok", base.num_experts_per_tok);
  take(json, "moe_intermediate_size", base.moe_intermediate_size);
  take(json, "rope_theta", base.rope_theta);
  take(json, "rotary_pct", base.rotary_pct);
  take(json, "mrope_section", base.mrope_section);
  take(json, "sliding_window", base.sliding_window);
  take(json, "layer_types", base.layer_types);
  if (json.contains("rope_scaling")) base.rope_scaling = read_rope_scaling(json["rope_scaling"]);
  take(json, "rms_norm_eps", base.norm_eps);
  take(json, "layer_norm_eps", base.norm_eps);
  take(json, "hidden_act", base.hidden_act);
  take(json, "initializer_range", base.initializer_range);
  take(json, "attention_bias", base.attention_bias);
  take(json, "mlp_bias", base.mlp_bias);
  take(json, "qk_norm", base.qk_norm);
  take(json, "use_parallel_residual", base.use_parallel_residual);
  take(json, "tie_word_embeddings", base.tie_word_embeddings);
  take(json, "norm_topk_prob", base.norm_topk_prob);
  take(json, "router_aux_loss_coef", base.router_aux_loss_coef);
  take(json, "router_z_loss_coef", base.router_z_loss_coef);
  take(json, "balance", base.balance);
  take(json, "router_bias_update_rate", base.router_bias_update_rate);
  take(json, "router_force_balance", base.router_force_balance);
  apply_family(base);
  return base;
}

std::vector<PartConfig> read_parts(const Json& json) {
  std::vector<PartConfig> parts;
  for (const auto& [name, keys] : json.items()) {
    parts.push_back({name, keys["type"].get<std::string>(), keys});
  }
  return parts;
}

void read_model(const Json& json, Recipe& recipe) {
  take(json, "from", recipe.from);
  recipe.base = read_base(json["base"]);
  for (const auto& [name, table] : json["tables"].items()) {
    TableConfig& config = recipe.tables.emplace_back();
    config.name = name;
    take(table, "rows", config.rows);
    take(table, "dim", config.dim);
    take(table, "hash", config.hash);
  }
  recipe.encoders = read_parts(json["encoders"]);
  recipe.decoders = read_parts(json["decoders"]);
  recipe.heads = read_parts(json["heads"]);
  for (const auto* parts : {&recipe.decoders, &recipe.heads}) {
    for (const PartConfig& part : *parts) recipe.loss_weights[part.name] = part.keys["weight"];
  }
}

std::vector<std::string> strings(const Json& one_or_many) {
  if (one_or_many.is_string()) return {one_or_many.get<std::string>()};
  return one_or_many.get<std::vector<std::string>>();
}

Range read_range(const Json& pair) { return {pair[0].get<double>(), pair[1].get<double>()}; }

SourceConfig read_source(const Json& json) {
  SourceConfig source;
  take(json, "name", source.name);
  take(json, "format", source.format);
  source.paths = strings(json["path"]);
  source.keys = json;
  take(json, "weight", source.weight);
  const Json& split = json["split"];
  source.train = read_range(split["train"]);
  if (split.contains("eval")) source.eval = read_range(split["eval"]);
  for (const Json& segment : json["sample"]) {
    SegmentConfig& config = source.sample.emplace_back();
    take(segment, "part", config.part);
    take(segment, "field", config.field);
    config.learn = segment["learn"].is_array() || segment["learn"].get<bool>();
    if (is_chat_format(source.format)) {
      if (config.part == "text") config.field = kConversation;
      continue;
    }
    if (config.part == "text" && config.field.empty())
      config.field = source.format == "tokens" ? "input_ids" : "text";
  }
  for (const auto& [head, target] : json["targets"].items()) {
    const Json keys = target.is_string() ? Json{{"field", target}} : target;
    source.targets.push_back({head, keys["field"].get<std::string>(), keys});
  }
  take(json, "sample_weight", source.sample_weight);
  take(json, "group", source.group);
  return source;
}

TrainConfig read_train(const Json& json) {
  TrainConfig train;
  take(json, "steps", train.steps);
  take(json, "epochs", train.epochs);
  take(json, "packs", train.packs);
  take(json, "pack_tokens", train.pack_tokens);
  const Json& optimizer = json["optimizer"];
  take(optimizer, "type", train.optimizer.type);
  take(optimizer, "lr", train.optimizer.lr);
  if (optimizer.contains("betas")) {
    train.optimizer.beta1 = optimizer["betas"][0];
    train.optimizer.beta2 = optimizer["betas"][1];
  }
  take(optimizer, "eps", train.optimizer.eps);
  take(optimizer, "weight_decay", train.optimizer.weight_decay);
  take(optimizer, "clip", train.optimizer.clip);
  take(optimizer, "momentum", train.optimizer.momentum);
  take(optimizer, "decay_all", train.optimizer.decay_all);
  if (json.contains("groups")) train.groups = read_groups(json["groups"]);
  const Json& schedule = json["schedule"];
  take(schedule, "type", train.schedule.type);
  take(schedule, "warmup", train.schedule.warmup);
  take(schedule, "decay", train.schedule.decay);
  take(schedule, "final", train.schedule.final);
  take(json, "precision", train.precision);
  take(json, "device", train.device);
  take(json, "task_weights", train.task_weights);
  take(json, "dropout", train.dropout);
  take(json, "workers", train.workers);
  return train;
}

Recipe read_resolved(Json resolved, const std::string& path) {
  Recipe recipe;
  take(resolved, "name", recipe.name);
  take(resolved, "seed", recipe.seed);
  read_model(resolved["model"], recipe);
  take(resolved, "tokenizer", recipe.tokenizer);
  for (const Json& source : resolved["data"]["sources"])
    recipe.sources.push_back(read_source(source));
  recipe.train = read_train(resolved["train"]);
  take(resolved["eval"], "every", recipe.eval.every);
  take(resolved["eval"], "samples", recipe.eval.samples);
  take(resolved["parallel"], "replicate", recipe.parallel.replicate);
  take(resolved["parallel"], "shard", recipe.parallel.shard);
  take(resolved["parallel"], "sequence", recipe.parallel.sequence);
  take(resolved["parallel"], "expert", recipe.parallel.expert);
  take(resolved["parallel"], "overlap", recipe.parallel.overlap);
  take(resolved["parallel"], "timeout", recipe.parallel.timeout);
  take(resolved["parallel"], "prefetch", recipe.parallel.prefetch);
  take(resolved["parallel"], "reshard_after_forward", recipe.parallel.reshard_after_forward);
  take(resolved["parallel"], "reduce_gradients", recipe.parallel.reduce_gradients);
  take(resolved["parallel"], "balance_encoders", recipe.parallel.balance_encoders);
  take(resolved["checkpoint"], "every", recipe.checkpoint.every);
  take(resolved["checkpoint"], "keep", recipe.checkpoint.keep);
  take(resolved, "output", recipe.output);
  recipe.path = path;
  recipe.resolved = std::move(resolved);
  return recipe;
}

std::string full(const std::string& path) {
  return std::filesystem::absolute(path.empty() ? "recipe.json" : path).lexically_normal().string();
}

Recipe build_recipe(const Document& document, const Json& value, const std::string& full_path) {
  Json resolved = resolve(recipe_key(), value, {}, document);
  if (!resolved["model"].contains("base"))
    document.fail_value(
        {"model"},
        "missing key 'base' (the Transformer or mixture-of-experts model all parts share)");
  complete_base(resolved["model"]["base"], document);
  complete_rest(resolved, full_path);
  // Once more, for the table's order: a resolved recipe read again gives the same text.
  resolved = resolve(recipe_key(), resolved, {}, document);
  Recipe recipe = read_resolved(std::move(resolved), full_path);
  check_model(recipe, document);
  check_data(recipe, document);
  check_train(recipe, document);
  check_groups(recipe, document);
  return recipe;
}

}  // namespace

Recipe parse_recipe(const std::string& text, const std::string& path,
                    const std::vector<std::string>& overrides) {
  const Document document(text, path, overrides);
  return build_recipe(document, document.value(), full(path));
}

Recipe read_recipe(const std::string& path, const std::vector<std::string>& overrides) {
  const Document document(read_text_file(path, kJsonBytes), path, overrides);
  Json value = document.value();
  apply_from(value, document, full(path));
  Recipe recipe = build_recipe(document, value, full(path));
  check_files(recipe, document);
  return recipe;
}

}  // namespace veomni
