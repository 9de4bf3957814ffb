#pragma once
// The features encoder's input, prepared on the host: columns to standardised numbers and table
// rows. No LibTorch.

#include <memory>
#include <string>
#include <vector>

#include "core/data/preprocessor.h"
#include "core/recipe/spec.h"

namespace veomni {

/// Keys of the recipe that the preprocessing reads; the encoder's spec adds its own.
///   columns  object: column → "number" | "category" | { "type": "number" | "category", … } with
///     "transform"  "none" | "log1p" (numbers): sign(x)·log(1 + |x|), so negatives are allowed
///     "bins"       k (numbers): also the number of the quantile bin, as a categorical id
///     "table"      NAME (categories): a table of model.tables; columns of one table share rows
///                  for equal values
///     "min_count"  n (categories): rarer values are unseen
///     "list"       { "max": n } (categories): a list of ids, one token each, the latest n are kept
///     "separator"  characters that separate a list written as text, by default " |"
///   rows     rows of the encoder's own table, which columns without `table` and all bins use
Keys features_preprocess_keys();

/// Cross-checks of those keys; throws ConfigError that starts with `where`.
void check_features_preprocess(const PartConfig& config, const std::string& where);

/// Which columns feed which arrays, in the order of the arrays' entries.
struct FeaturesLayout {
  struct Categorical {
    std::string column;
    std::string table;  ///< "": the encoder's own table, named as the encoder
    bool bins = false;  ///< the quantile bin of a number
  };
  std::vector<std::string> number_columns;
  std::vector<Categorical> categorical, lists;
};
FeaturesLayout features_layout(const PartConfig& config);

/// `tables`: model.tables, name → { "rows", "hash" }.
///
/// Numbers are standardised with the training rows' mean and standard deviation; a missing one is
/// 0 and its flag 1. Rows of ids:
///   hashed table     0 missing, else 1 + xxh64(value) mod (rows − 1)
///   table by values  0 missing, 1 unseen, 2 + rank by frequency over all columns that share the
///                    table, equal frequencies in byte order
///   own table        the same, each column behind the one before; of bins: missing, then the bins
/// Arrays:
///   [0] numbers       f32 [1, 2·Nn], values, then missing flags
///   [1] ids           i64 [1, Nc]
///   [2] list ids      i64 [L, 1]
///   [3] list columns  i64 [L, 1], index into FeaturesLayout::lists
/// token_count: 1 + L, the row's token first, then the lists' elements, column by column.
std::unique_ptr<Preprocessor> make_features_preprocessor(const PartConfig& config,
                                                         const Json& tables);

}  // namespace veomni
