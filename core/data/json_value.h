#pragma once
// A value of JSON data as a field of a record.

#include <string>

#include "core/data/record.h"
#include "core/json.h"

namespace veomni {

/// A scalar, or a flat list of integers or of strings. Throws ConfigError `where: field '…' …` on
/// anything else.
Value json_value(const Json& item, const std::string& where, const std::string& field);

}  // namespace veomni
