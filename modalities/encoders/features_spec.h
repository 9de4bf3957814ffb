#pragma once

#include <optional>

#include "core/recipe/spec.h"

namespace veomni {

/// Width of the row token's input: numbers, missing flags, then one embedding a categorical or bin column.
int64_t features_row_width(const PartConfig& config, const BaseSizes& sizes);

/// One unit: for each hidden layer weight and bias, then projector weight and bias; for each list column its projector
/// weight [D, dim]; then list_columns.weight [lists, D] where there are lists.
std::vector<UnitSpec> describe_features(const PartConfig& config, const BaseSizes& sizes);

/// The encoder's own table; none when every column names one of model.tables.
std::optional<ParameterSpec> features_own_table(const PartConfig& config);

/// dim of the table a categorical column reads; `table` empty: the encoder's own.
int64_t features_table_dim(const PartConfig& config, const BaseSizes& sizes,
                           const std::string& table);

}  // namespace veomni
