#pragma once
// What the tests of damaged files share: rows of changes to a sound file, and what every error line must be.

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "core/tokenizer/unicode.h"

namespace veomni_test {

/// A part of a sound file, what stands there instead, and part of what the program says to it.
struct Row {
  std::string from, to, expected;
};

inline std::string changed(std::string text, const Row& row) {
  const size_t at = text.find(row.from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, row.from.size(), row.to);
}

/// One line that begins with (or, in a recipe's error, names) something of `folder` and holds `expected`.
inline void check_line(const std::string& line, const std::filesystem::path& folder,
                       const std::string& expected) {
  INFO("line: " << line << "\nexpected: " << expected);
  CHECK(line.find(folder.string()) == 0);
  CHECK(line.find(expected) != std::string::npos);
  CHECK(line.size() < 600);
  CHECK(veomni::find_invalid_utf8(line) == std::string::npos);
  CHECK(std::none_of(line.begin(), line.end(), [](char c) { return c >= 0 && c < 0x20; }));
}

}  // namespace veomni_test
