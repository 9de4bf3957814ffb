#pragma once
// What `veomni inspect RECIPE` prints: samples as the model sees them, and histograms of their lengths.

#include "core/json.h"
#include "core/recipe/recipe.h"

namespace veomni {

/// `options`: "samples" (integer, shown of each source), "source" (name, only this one), "json" (boolean).
/// Returns the exit code. Throws ConfigError on bad data.
int inspect_data(const Recipe& recipe, const Json& options);

}  // namespace veomni
