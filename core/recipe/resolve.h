#pragma once
// Checks a JSON value against a table of keys and fills in the defaults.

#include "core/json.h"
#include "core/recipe/document.h"
#include "core/recipe/spec.h"

namespace veomni {

/// `given` with every default, keys in the table's order (maps keep the recipe's). Throws
/// ConfigError at the first wrong key or value in the order of the document.
Json resolve(const Key& key, const Json& given, const Path& path, const Document& document);

/// "an integer", "a list", …: the JSON type for people.
std::string type_words(Key::Type type);

/// Whether the value has the key's JSON type; integers may be written 3.0.
bool has_type(Key::Type type, const Json& value);

/// Names of parts, tables and sources become parts of dotted paths: letters, digits, '_' and '-'.
bool is_plain_name(const std::string& name);

}  // namespace veomni
