#include <set>

#include "core/error.h"
#include "core/recipe/checks.h"
#include "core/recipe/family.h"
#include "core/suggest.h"

namespace veomni {

namespace {

using Kind = SpecRegistry::Kind;

void check_spec(Kind kind, const PartConfig& part, const Path& path, const Document& document) {
  const PartSpec& spec = spec_of(kind, part);
  if (!spec.check) return;
  try {
    spec.check(part, dotted(path));
  } catch (const ConfigError& error) {
    document.fail_located(path, error.what());
  }
}

void check_specs(const Recipe& recipe, const Document& document) {
  const auto check_all = [&](Kind kind, const std::vector<PartConfig>& parts, const char* section) {
    for (const PartConfig& part : parts)
      check_spec(kind, part, {"model", section, part.name}, document);
  };
  check_all(Kind::encoder, recipe.encoders, "encoders");
  check_all(Kind::decoder, recipe.decoders, "decoders");
  check_all(Kind::head, recipe.heads, "heads");
}

/// Notes every `"table": "name"` below `json`, whatever the part calls the keys above it.
void collect_tables(const Recipe& recipe, const Document& document, const Json& json,
                    const Path& path, std::set<std::string>& used) {
  if (!json.is_structured()) return;
  size_t index = 0;
  for (const auto& [key, value] : json.items()) {
    const Path here = child(path, json.is_array() ? std::to_string(index++) : key);
    if (json.is_object() && key == "table" && value.is_string()) {
      std::vector<std::string> known;
      for (const TableConfig& table : recipe.tables) known.push_back(table.name);
      const auto name = value.get<std::string>();
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        document.fail_value(
            here, fmt::format("no table '{}' in model.tables{}", name, did_you_mean(name, known)));
      }
      used.insert(name);
    }
    collect_tables(recipe, document, value, here, used);
  }
}

void check_tables(const Recipe& recipe, const Document& document) {
  std::set<std::string> used;
  for (const PartConfig& encoder : recipe.encoders) {
    collect_tables(recipe, document, encoder.keys, {"model", "encoders", encoder.name}, used);
  }
  for (const TableConfig& table : recipe.tables) {
    if (used.count(table.name) > 0) continue;
    document.fail_key({"model", "tables", table.name},
                      "no column uses this table; remove it, or name it in a column");
  }
}

void check_given(const Recipe& recipe, const PartConfig& head, const Document& document) {
  if (!head.keys.contains("given")) return;
  const Path path{"model", "heads", head.name, "given"};
  const auto parent_name = head.keys["given"].get<std::string>();
  const PartConfig* parent = find_part(recipe.heads, parent_name);
  if (!parent) {
    document.fail_value(path, fmt::format("no head '{}' in model.heads{}", parent_name,
                                          did_you_mean(parent_name, part_names(recipe.heads))));
  }
  if (head.type != "binary") {
    document.fail_key(path, fmt::format("only binary heads have a parent; '{}' is of type '{}'",
                                        head.name, head.type));
  }
  if (parent->type != "binary") {
    document.fail_value(
        path, fmt::format("'{}' is of type '{}'; give a binary head", parent_name, parent->type));
  }
  const PartConfig* ancestor = &head;
  for (size_t steps = 0; ancestor && ancestor->keys.contains("given"); ++steps) {
    if (steps > recipe.heads.size()) {
      document.fail_value(path, "heads are given in a circle; remove one of the 'given' keys");
    }
    ancestor = find_part(recipe.heads, ancestor->keys["given"].get<std::string>());
  }
}

void check_names(const Recipe& recipe, const Document& document) {
  if (find_part(recipe.encoders, "text")) {
    document.fail_key(
        {"model", "encoders", "text"},
        "'text' stands for the base model's own tokens; give the encoder another name");
  }
  for (const PartConfig& head : recipe.heads) {
    if (!find_part(recipe.decoders, head.name)) continue;
    document.fail_key({"model", "heads", head.name},
                      "a decoder has this name as well, and their losses would mix; rename one");
  }
}

/// Windows of text that a table of learned positions is too short for; other samples are known when they are read.
void check_positions(const Recipe& recipe, const Document& document) {
  if (family_of(recipe.base.family).rotary) return;
  for (size_t i = 0; i < recipe.sources.size(); ++i) {
    const int64_t tokens = recipe.sources[i].keys.value("sample_tokens", int64_t{0});
    if (tokens <= recipe.base.max_position_embeddings) continue;
    document.fail_value(
        {"data", "sources", std::to_string(i), "sample_tokens"},
        fmt::format("{} is more than model.base.max_position_embeddings = {}; make one fit", tokens,
                    recipe.base.max_position_embeddings));
  }
}

/// Axes that cut the model: what they cut must divide.
void check_axes(const Recipe& recipe, const Document& document) {
  const auto check = [&](const char* axis, int64_t ranks, const char* key, int64_t parts) {
    if (parts % ranks == 0) return;
    document.fail_value({"parallel", axis},
                        fmt::format("{} must divide model.base.{} = {}; it can be {}", ranks, key,
                                    parts, divisors(parts)));
  };
  check("sequence", recipe.parallel.sequence, "num_attention_heads",
        recipe.base.num_attention_heads);
  if (recipe.base.num_experts == 0 && recipe.parallel.expert > 1)
    document.fail_value({"parallel", "expert"},
                        fmt::format("{} ranks would share experts, but the base model has none; "
                                    "leave it out or set model.base.num_experts",
                                    recipe.parallel.expert));
  if (recipe.base.num_experts > 0)
    check("expert", recipe.parallel.expert, "num_experts", recipe.base.num_experts);
}

}  // namespace

const PartSpec& spec_of(SpecRegistry::Kind kind, const PartConfig& part) {
  return specs().get(kind, part.type);
}

const PartConfig* find_part(const std::vector<PartConfig>& parts, const std::string& name) {
  for (const PartConfig& part : parts) {
    if (part.name == name) return &part;
  }
  return nullptr;
}

std::vector<std::string> part_names(const std::vector<PartConfig>& parts) {
  std::vector<std::string> names;
  names.reserve(parts.size());
  for (const PartConfig& part : parts) names.push_back(part.name);
  return names;
}

void check_model(const Recipe& recipe, const Document& document) {
  check_names(recipe, document);
  check_specs(recipe, document);
  check_tables(recipe, document);
  check_positions(recipe, document);
  check_axes(recipe, document);
  for (const PartConfig& head : recipe.heads) check_given(recipe, head, document);
}

}  // namespace veomni
