#pragma once
// Files of one JSON object a line (metrics.jsonl, samples.jsonl), and numbers written for people.

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"

namespace veomni {

/// Compact JSON on one line; reals with 9 significant digits (all that a float has), null where not
/// finite.
std::string json_line(const Json& value);

/// An append-only file of lines. Each line reaches the system before append returns.
class JsonLines {
 public:
  /// Drops lines with a "step" above `first_step` (all, when it is 0) and a last line cut by a
  /// kill; atomically. Throws ConfigError naming the file, and the line where one is damaged.
  JsonLines(std::filesystem::path path, int64_t first_step);
  /// Returns the line, without its end.
  std::string append(const Json& value);

 private:
  std::filesystem::path path_;
  std::unique_ptr<FILE, int (*)(FILE*)> file_;
};

/// All objects of the file, none when it does not exist; a last line without its end is left out.
std::vector<Json> read_json_lines(const std::filesystem::path& path);

/// The numbers in an object of objects, with their path: {"a": {"b": 1}} → {("a/b", 1)}. Null
/// stands for NaN.
std::vector<std::pair<std::string, double>> flatten_numbers(const Json& value);

std::string number_text(double value);      ///< 4 significant digits: 2.316, 0.8124, 1.2e-05
std::string count_text(double value);       ///< 950, 18.2k, 3.4M
std::string bytes_text(double bytes);       ///< 1.2 GB
std::string duration_text(double seconds);  ///< 12 s, 3 min 05 s, 2 h 10 min

/// Valid UTF-8 without control characters, save line feeds and tabs (which become spaces unless
/// `multiline`).
std::string printable_text(const std::string& text, bool multiline);

}  // namespace veomni
