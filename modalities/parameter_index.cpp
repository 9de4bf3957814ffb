#include "modalities/parameter_index.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/recipe/model_parameters.h"
#include "parallel/fsdp/unit.h"
#include "parallel/table.h"

namespace veomni {

ParameterIndex::ParameterIndex(const std::vector<Unit*>& units, const std::vector<Table*>& tables) {
  for (auto* unit : units) {
    for (const auto& parameter : unit->parameters()) {
      require<Error>(units_.emplace(parameter.name, unit).second,
                     "model: parameter '{}' exists twice", parameter.name);
      elements_ += veomni::element_count(parameter);
      if (parameter.frozen) frozen_ += veomni::element_count(parameter);
    }
  }
  for (auto* table : tables) {
    tables_[table->name()] = table;
    elements_ += table->rows() * table->dim();
    if (table->frozen()) frozen_ += table->rows() * table->dim();
  }
}

std::vector<std::string> ParameterIndex::names() const {
  std::vector<std::string> names;
  for (const auto& [name, unit] : units_) names.push_back(name);
  for (const auto& [name, table] : tables_) names.push_back(name);
  return names;
}

at::Tensor ParameterIndex::parameter(const std::string& name) const {
  if (const auto table = tables_.find(name); table != tables_.end())
    return table->second->weight().clone();
  return units_.at(name)->full_parameter(name);
}

at::Tensor ParameterIndex::gradient(const std::string& name) const {
  const auto table = tables_.find(name);
  if (table == tables_.end()) return units_.at(name)->full_gradient(name);
  if (table->second->frozen()) return {};
  auto dense = at::zeros_like(table->second->weight());
  const auto [rows, values] = table->second->touched();
  if (rows.defined() && rows.numel() > 0) dense.index_copy_(0, rows, values);
  return dense;
}

}  // namespace veomni
