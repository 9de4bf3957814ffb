#include "core/recipe/model_parameters.h"

#include "core/data/sample.h"

namespace veomni {

namespace {

void append(std::vector<ParameterSpec>& parameters, const std::vector<UnitSpec>& units) {
  for (const UnitSpec& unit : units)
    parameters.insert(parameters.end(), unit.parameters.begin(), unit.parameters.end());
}

}  // namespace

std::vector<ParameterSpec> model_parameters(const Recipe& recipe, int64_t vocab_size) {
  std::vector<ParameterSpec> parameters;
  const int64_t terms = static_cast<int64_t>(recipe.decoders.size() + recipe.heads.size());
  append(parameters,
         specs().base()(recipe.base, vocab_size, special_token_count(recipe.encoders.size()),
                        recipe.train.task_weights == "uncertainty" ? terms : 0));
  const BaseSizes sizes = base_sizes(recipe, vocab_size);
  const auto add = [&](SpecRegistry::Kind kind, const std::vector<PartConfig>& parts) {
    for (const PartConfig& part : parts) {
      const PartSpec& spec = specs().get(kind, part.type);
      if (spec.describe) append(parameters, spec.describe(part, sizes));
      if (!spec.describe_tables) continue;
      for (const auto& table : spec.describe_tables(part)) parameters.push_back(table);
    }
  };
  add(SpecRegistry::Kind::encoder, recipe.encoders);
  add(SpecRegistry::Kind::decoder, recipe.decoders);
  add(SpecRegistry::Kind::head, recipe.heads);
  for (const TableConfig& table : recipe.tables)
    parameters.push_back(
        {"tables." + table.name, {table.rows, table.dim}, Init::normal(0.1), false});
  return parameters;
}

int64_t element_count(const ParameterSpec& parameter) {
  int64_t count = 1;
  for (const int64_t size : parameter.shape) count *= size;
  return count;
}

std::vector<int64_t> ParameterSpec::held_shape() const {
  std::vector<int64_t> held = shape;
  if (row_count >= 0) held[0] = row_count;
  return held;
}

int64_t ParameterSpec::held_begin() const {
  return row_begin == 0 ? 0 : element_count(*this) / shape[0] * row_begin;
}

TrainedCount count_trained(const Recipe& recipe, int64_t vocab_size) {
  TrainedCount count;
  for (const ParameterSpec& parameter : model_parameters(recipe, vocab_size)) {
    const bool frozen = is_frozen(recipe.train.groups, parameter.name);
    (frozen ? count.frozen : count.trained) += element_count(parameter);
  }
  return count;
}

}  // namespace veomni
