#pragma once
// Small functions on text that sources, tokenizers and preprocessors share.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace veomni {

/// Without the spaces, tabs and line ends around it.
inline std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

/// The code point at `offset`, which moves behind it; -1 when the bytes there are no UTF-8 (RFC
/// 3629: no overlong forms, no surrogates, at most U+10FFFF) and `offset` stays.
int32_t next_code_point(std::string_view text, size_t& offset);

/// Appends the code point as UTF-8.
void append_utf8(int32_t code_point, std::string& text);

/// Text from a file as an error line may show it: on one line, valid UTF-8, at most `most`
/// characters.
std::string shown(std::string_view text, int most = 60);

/// "a, b, c" of at most `limit` names, for error lines.
std::string join_names(const std::vector<std::string>& names, size_t limit = 12);

}  // namespace veomni
