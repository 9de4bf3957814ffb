#pragma once
// JSON of large files (headers of weights, vocabularies) whose names are looked up by the thousand, read strictly.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace veomni {

/// Keys in alphabetical order: found in logarithmic time.
using SortedJson = nlohmann::json;

/// Where a JSON text stands and what it is, for error lines.
struct JsonText {
  std::string_view text;
  std::string file;
  std::string what;    ///< "the header"
  uint64_t begin = 0;  ///< byte of the file where the text begins
  int depth = 64;      ///< deepest nesting allowed
};

/// Refuses what is no JSON, keys that occur twice in an object, numbers out of range, and deeper nesting. Throws
/// ConfigError `FILE: byte N: …`.
SortedJson parse_sorted_json(const JsonText& source);

}  // namespace veomni
