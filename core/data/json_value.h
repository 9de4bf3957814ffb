#pragma once
// JSON of data: texts, and values as fields of records.

#include <string>
#include <string_view>

#include "core/data/record.h"
#include "core/json.h"

namespace veomni {

/// Nested at most kJsonDepth levels. Throws ConfigError `where: is not valid JSON near byte N; …`.
Json parse_json(std::string_view text, const std::string& where);

/// A scalar, or a flat list of integers or of strings. Throws ConfigError `where: field '…' …` on
/// anything else.
Value json_value(const Json& item, const std::string& where, const std::string& field);

}  // namespace veomni
