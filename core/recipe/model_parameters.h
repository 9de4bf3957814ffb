#pragma once
// The parameters that a recipe's model will have, known before it is built.

#include <cstdint>
#include <vector>

#include "core/recipe/recipe.h"

namespace veomni {

/// Of all parts and tables, as they describe themselves; a part whose spec does not adds none. `vocab_size`: rows of the
/// token embedding; 0: the model has none.
std::vector<ParameterSpec> model_parameters(const Recipe& recipe, int64_t vocab_size);

/// Its number of elements.
int64_t element_count(const ParameterSpec& parameter);

/// How many elements train.groups trains and freezes.
struct TrainedCount {
  int64_t trained = 0, frozen = 0;
};
TrainedCount count_trained(const Recipe& recipe, int64_t vocab_size);

}  // namespace veomni
