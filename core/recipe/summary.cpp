#include "core/recipe/summary.h"

#include "core/error.h"
#include "core/recipe/family.h"
#include "core/recipe/model_parameters.h"

namespace veomni {

namespace {

int64_t vocab_size(const Recipe& recipe) {
  if (recipe.base.vocab_size > 0) return recipe.base.vocab_size;
  return recipe.tokenizer == "bytes" ? 256 : 0;
}

Json parameter_count(SpecRegistry::Kind kind, const PartConfig& part, const BaseSizes& sizes) {
  const PartSpec& spec = specs().get(kind, part.type);
  if (!spec.describe) return nullptr;
  int64_t count = 0;
  for (const UnitSpec& unit : spec.describe(part, sizes)) {
    for (const ParameterSpec& parameter : unit.parameters) {
      count += element_count(parameter);
    }
  }
  return count;
}

Json summarize_parts(SpecRegistry::Kind kind, const std::vector<PartConfig>& parts,
                     const BaseSizes& sizes) {
  Json out = Json::array();
  for (const PartConfig& part : parts) {
    out.push_back({{"name", part.name},
                   {"type", part.type},
                   {"parameters", parameter_count(kind, part, sizes)}});
  }
  return out;
}

std::string parts_words(const Json& parts, const char* plural) {
  std::string words;
  for (const Json& part : parts) {
    const Json& count = part["parameters"];
    words += fmt::format("{}{} ({}{})", words.empty() ? "" : ", ", part["name"].get<std::string>(),
                         part["type"].get<std::string>(),
                         count.is_null() ? "" : ", " + short_count(count.get<int64_t>()));
  }
  return words.empty() ? "" : fmt::format("; {} {}", plural, words);
}

}  // namespace

BaseSizes base_sizes(const Recipe& recipe, int64_t vocab_size) {
  BaseSizes sizes{.hidden_size = recipe.base.hidden_size, .vocab_size = vocab_size};
  for (const auto& table : recipe.tables) sizes.table_dims[table.name] = table.dim;
  return sizes;
}

int64_t base_parameter_count(const BaseConfig& base) {
  const Family& family = family_of(base.family);
  const int64_t width = base.hidden_size;
  const int64_t q = base.num_attention_heads * base.head_dim;
  const int64_t kv = base.num_key_value_heads * base.head_dim;
  const int64_t norm = (family.layer_norm ? 2 : 1) * width;
  int64_t block = width * (q + 2 * kv) + q * width + 2 * norm;
  if (base.attention_bias) block += q + 2 * kv + (family.output_bias ? width : 0);
  if (base.qk_norm) block += 2 * base.head_dim;
  const int64_t up = (family.gated_mlp ? 2 : 1) * base.intermediate_size;
  block += base.num_experts > 0
               ? base.num_experts * (3 * width * base.moe_intermediate_size + width)
               : width * (up + base.intermediate_size) + (base.mlp_bias ? up + width : 0);
  const int64_t positions = family.rotary ? 0 : base.max_position_embeddings * width;
  return base.num_hidden_layers * block + norm + positions;
}

Json summarize(const Recipe& recipe) {
  using Kind = SpecRegistry::Kind;
  const BaseSizes sizes = base_sizes(recipe, vocab_size(recipe));
  Json summary{{"name", recipe.name}};
  summary["base"] = {{"family", recipe.base.family},
                     {"num_hidden_layers", recipe.base.num_hidden_layers},
                     {"hidden_size", recipe.base.hidden_size},
                     {"num_experts", recipe.base.num_experts},
                     {"parameters", base_parameter_count(recipe.base)}};
  summary["encoders"] = summarize_parts(Kind::encoder, recipe.encoders, sizes);
  summary["decoders"] = summarize_parts(Kind::decoder, recipe.decoders, sizes);
  summary["heads"] = summarize_parts(Kind::head, recipe.heads, sizes);
  summary["tables"] = Json::array();
  for (const TableConfig& table : recipe.tables) {
    summary["tables"].push_back(
        {{"name", table.name}, {"rows", table.rows}, {"parameters", table.rows * table.dim}});
  }
  const auto [trained, frozen] = count_trained(recipe, vocab_size(recipe));
  summary["parameters"] = {{"trained", trained}, {"frozen", frozen}};
  summary["sources"] = Json::array();
  for (const SourceConfig& source : recipe.sources) {
    summary["sources"].push_back(
        {{"name", source.name}, {"format", source.format}, {"files", source.paths.size()}});
  }
  summary["train"] = {{"steps", recipe.train.steps},
                      {"epochs", recipe.train.epochs},
                      {"packs", recipe.train.packs},
                      {"pack_tokens", recipe.train.pack_tokens}};
  summary["output"] = recipe.output;
  return summary;
}

std::string summary_line(const Json& summary) {
  const Json& base = summary["base"];
  const auto experts = base["num_experts"].get<int64_t>();
  std::string line = fmt::format(
      "{}: valid; base {} {} × {}{} ({} parameters)", summary["name"].get<std::string>(),
      base["family"].get<std::string>(), base["num_hidden_layers"].get<int64_t>(),
      base["hidden_size"].get<int64_t>(), experts > 0 ? fmt::format(", {} experts", experts) : "",
      short_count(base["parameters"].get<int64_t>()));
  line += parts_words(summary["encoders"], "encoders");
  line += parts_words(summary["decoders"], "decoders");
  line += parts_words(summary["heads"], "heads");
  if (const auto frozen = summary["parameters"]["frozen"].get<int64_t>(); frozen > 0)
    line += fmt::format("; trains {}, {} frozen",
                        short_count(summary["parameters"]["trained"].get<int64_t>()),
                        short_count(frozen));
  std::string sources;
  for (const Json& source : summary["sources"]) {
    sources += fmt::format("{}{} ({})", sources.empty() ? "" : ", ",
                           source["name"].get<std::string>(), source["format"].get<std::string>());
  }
  const Json& train = summary["train"];
  const auto steps = train["steps"].get<int64_t>();
  const std::string length = steps > 0 ? fmt::format("{} steps", steps)
                                       : fmt::format("{} epochs", train["epochs"].get<double>());
  return line + fmt::format("; sources {}; {} of {} packs × {} tokens", sources, length,
                            train["packs"].get<int64_t>(), train["pack_tokens"].get<int64_t>());
}

std::string short_count(int64_t count) {
  const auto x = static_cast<double>(count);
  if (count < 1000) return fmt::format("{}", count);
  if (x < 999.95e3) return fmt::format("{:.1f} k", x / 1e3);
  if (x < 999.95e6) return fmt::format("{:.1f} M", x / 1e6);
  return fmt::format("{:.1f} B", x / 1e9);
}

}  // namespace veomni
