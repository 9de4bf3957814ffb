#pragma once
// `veomni inspect RECIPE`: the data as the model will see them.

#include "core/data/sample.h"

namespace veomni {

/// Prints, for each source, its size, its first samples (tokens, boundary tokens, inputs, targets)
/// and a histogram of sample lengths; then how full packs are. `options`: "json" (false): one JSON
/// object on standard output instead of text; "samples" (3): samples shown of each source. Returns
/// 0. Throws ConfigError on bad data.
int inspect_data(const Recipe& recipe, const Json& options, const SpecRegistry& registry = specs());

/// The same as a JSON object; `text` of each sample is what the text form prints.
Json describe_data(const Recipe& recipe, int64_t samples, const SpecRegistry& registry = specs());

/// A sample on one line: text quoted, boundary tokens as <photo> … </photo>, placeholders counted.
std::string render_tokens(const Sample& sample, const Recipe& recipe, const Dataset& dataset);

}  // namespace veomni
