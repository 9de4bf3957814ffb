#include "modalities/encoders/features_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "modalities/encoders/features_preprocess_spec.h"
#include "modalities/specs.h"

namespace veomni {

int64_t features_table_dim(const PartConfig& config, const BaseSizes& sizes,
                           const std::string& table) {
  if (table.empty() || table == config.name) return config.keys.at("dim").get<int64_t>();
  return sizes.table_dims.at(table);
}

int64_t features_row_width(const PartConfig& config, const BaseSizes& sizes) {
  const auto layout = features_layout(config);
  int64_t width = 2 * static_cast<int64_t>(layout.number_columns.size());
  for (const auto& column : layout.categorical)
    width += features_table_dim(config, sizes, column.table);
  return width;
}

std::vector<UnitSpec> describe_features(const PartConfig& config, const BaseSizes& sizes) {
  const auto& keys = config.keys;
  const std::string prefix = "encoders." + config.name;
  const auto width = keys.at("hidden_size").get<int64_t>();
  UnitSpec unit{.name = prefix, .parameters = {}};
  const auto add_layer = [&](const std::string& name, int64_t out, int64_t in) {
    // Glorot's fan-in form keeps the scale of standardised inputs through the layers.
    const Init init = Init::normal(in > 0 ? 1 / std::sqrt(static_cast<double>(in)) : 0);
    unit.parameters.push_back({name + ".weight", {out, in}, init});
    unit.parameters.push_back({name + ".bias", {out}, Init::zeros(), false});
    unit.flops_per_token += 2.0 * static_cast<double>(out * in);
    unit.saved_bytes_per_token += 4.0 * static_cast<double>(in + out);
  };
  int64_t in = features_row_width(config, sizes);
  for (int64_t layer = 0; layer < keys.at("num_hidden_layers").get<int64_t>(); ++layer) {
    add_layer(fmt::format("{}.layers.{}", prefix, layer), width, in);
    in = width;
  }
  add_layer(prefix + ".projector", sizes.hidden_size, in);
  const auto layout = features_layout(config);
  for (const auto& list : layout.lists) {
    const auto dim = features_table_dim(config, sizes, list.table);
    unit.parameters.push_back({fmt::format("{}.lists.{}.weight", prefix, list.column),
                               {sizes.hidden_size, dim},
                               Init::normal(1 / std::sqrt(static_cast<double>(dim)))});
  }
  if (!layout.lists.empty()) {
    const auto lists = static_cast<int64_t>(layout.lists.size());
    unit.parameters.push_back(
        {prefix + ".list_columns.weight", {lists, sizes.hidden_size}, Init::normal(0.02), false});
  }
  return {unit};
}

std::optional<ParameterSpec> features_own_table(const PartConfig& config) {
  const auto layout = features_layout(config);
  const auto own = [&](const FeaturesLayout::Categorical& column) {
    return column.table.empty() || column.table == config.name;
  };
  if (std::none_of(layout.categorical.begin(), layout.categorical.end(), own) &&
      std::none_of(layout.lists.begin(), layout.lists.end(), own))
    return {};
  return ParameterSpec{
      "encoders." + config.name + ".table",
      {config.keys.at("rows").get<int64_t>(), config.keys.at("dim").get<int64_t>()},
      Init::normal(0.1),
      false};
}

PartSpec features_spec() {
  using Type = Key::Type;
  PartSpec spec;
  spec.type = "features";
  spec.takes_field = false;
  spec.doc =
      "numbers, categories and lists of ids of one record: one token for the row, one for each "
      "list element";
  spec.keys = features_preprocess_keys();
  const Keys module_keys = {{.name = "dim",
                             .type = Type::integer,
                             .doc = "width of the own table's rows",
                             .default_value = 8,
                             .minimum = 1,
                             .maximum = 65536},
                            {.name = "hidden_size",
                             .type = Type::integer,
                             .doc = "width of the row's hidden layers",
                             .default_value = 128,
                             .minimum = 1,
                             .maximum = 65536},
                            {.name = "num_hidden_layers",
                             .type = Type::integer,
                             .doc = "SiLU layers between a row's columns and its token",
                             .default_value = 1,
                             .minimum = 0,
                             .maximum = 64},
                            {.name = "dropout",
                             .type = Type::number,
                             .doc = "on each hidden layer, training only",
                             .default_value = 0.0,
                             .minimum = 0,
                             .maximum = 0.95}};
  spec.keys.insert(spec.keys.end(), module_keys.begin(), module_keys.end());
  spec.describe = describe_features;
  spec.describe_tables = [](const PartConfig& config) {
    const auto table = features_own_table(config);
    return table ? std::vector{*table} : std::vector<ParameterSpec>{};
  };
  spec.check = check_features_preprocess;
  spec.make_preprocessor = make_features_preprocessor;
  return spec;
}

}  // namespace veomni
