#pragma once
// Wrong recipes as rows of a table.

#include <catch2/catch.hpp>

#include "recipe_fixture.h"

namespace veomni::test {

/// Replace `from` by `to` in the valid recipe; the error must be one line, stand where `at` begins inside `to`, and hold
/// `expected`.
struct Row {
  std::string from, to, at, expected;
};

/// line:column of the character at `offset`.
inline std::string place_of(const std::string& text, size_t offset) {
  const auto line =
      std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n') + 1;
  const size_t start = text.rfind('\n', offset == 0 ? 0 : offset - 1);
  return fmt::format("{}:{}", line,
                     start == std::string::npos || offset == 0 ? offset + 1 : offset - start);
}

inline void check_rows(const std::vector<Row>& rows) {
  ensure_specs();
  const RecipeFolder folder;
  for (const Row& row : rows) {
    INFO(row.from << " → " << row.to);
    const std::string base = omni_recipe();
    const std::string text = replaced(base, row.from, row.to);
    const std::string path = folder.write("recipe.json", text);
    const auto before = folder.listing();
    const std::string message = config_error([&] { read_recipe(path, {}); });
    CHECK_THAT(message, Catch::Contains(row.expected));
    CHECK(std::count(message.begin(), message.end(), '\n') == 0);
    CHECK(folder.listing() == before);
    if (row.at.empty()) {
      CHECK_THAT(message, Catch::Matches(".*recipe\\.json:[0-9]+:[0-9]+: .*"));
    } else {
      const size_t offset = base.find(row.from) + row.to.find(row.at);
      CHECK_THAT(message, Catch::StartsWith(path + ":" + place_of(text, offset) + ": "));
    }
  }
}

}  // namespace veomni::test
