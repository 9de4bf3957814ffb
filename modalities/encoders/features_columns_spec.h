#pragma once
// The columns of a features encoder as its preprocessing reads them from the recipe.

#include <string>
#include <vector>

#include "core/recipe/spec.h"

namespace veomni {

struct FeatureColumn {
  std::string name;
  bool number = false;
  bool log1p = false;
  int64_t bins = 0;  ///< 0: none
  std::string table = {};
  int64_t min_count = 1;
  int64_t list_max = 0;  ///< 0: a scalar
  std::string separators = " |";
};

/// In the recipe's order. Throws ConfigError that starts with `where` + ".columns.NAME".
std::vector<FeatureColumn> read_feature_columns(const PartConfig& config, const std::string& where);

}  // namespace veomni
