#pragma once
// What a recipe describes, in numbers: for `veomni validate`.

#include <string>

#include "core/json.h"
#include "core/recipe/recipe.h"

namespace veomni {

/// Parameters of the base model's blocks and final norm, without token embeddings.
int64_t base_parameter_count(const BaseConfig& base);

/// {name, base {family, parameters}, encoders/decoders/heads [{name, type, parameters}], tables,
/// parameters {trained, frozen}, sources, steps, …}. `parameters` is null for a part whose spec does not describe itself.
/// Vocabularies that only the data decides are not counted.
Json summarize(const Recipe& recipe);

/// The same as one line for people.
std::string summary_line(const Json& summary);

/// 1234567 → "1.2 M"
std::string short_count(int64_t count);

}  // namespace veomni
