#pragma once
// The JSON type of the project (keys keep their order, so a resolved recipe reads like its source),
// and a strict reader that knows where each key and value stands.

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace veomni {
using Json = nlohmann::ordered_json;

/// A place in a text; both count from 1, columns in characters (not bytes).
struct JsonPlace {
  int64_t line = 1, column = 1;
};

/// A JSON text with the places of its keys and values, by JSON pointer ("/train/steps",
/// "/data/sources/0").
struct LocatedJson {
  Json value;
  std::map<std::string, JsonPlace> keys;    ///< first character (the quote) of each object key
  std::map<std::string, JsonPlace> values;  ///< first character of each value
};

inline constexpr size_t kJsonDepth = 64;               ///< deepest nesting read
inline constexpr size_t kJsonKeys = 10000;             ///< most keys of one object
inline constexpr size_t kJsonBytes = size_t{4} << 20;  ///< largest text read

/// `pointer` with one more reference token, escaped as RFC 6901 asks.
std::string json_pointer_child(const std::string& pointer, const std::string& token);

/// Reads strict JSON; `//` comments are allowed. Duplicate keys, trailing commas, invalid UTF-8,
/// deeper nesting than kJsonDepth and anything after the value are refused. Throws ConfigError:
/// `name:3:7: not valid JSON: …`.
LocatedJson parse_located_json(std::string_view text, const std::string& name);

/// The bytes of a regular file. Throws ConfigError when it is absent, no regular file, or larger
/// than `max_bytes`.
std::string read_text_file(const std::string& path, size_t max_bytes);

/// The value as in an error message: JSON in one line, cut after 40 characters.
std::string json_excerpt(const Json& value);

}  // namespace veomni
