#pragma once
// What tokenizers ask of Unicode: classes of code points, lower case and the normal forms.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace veomni {

bool is_white_space(int32_t code);        ///< the property White_Space
bool is_mark(int32_t code);               ///< general category M
bool is_nonspacing_mark(int32_t code);    ///< general category Mn
bool is_punctuation(int32_t code);        ///< general category P, and ASCII's symbols
bool is_number(int32_t code);             ///< general category N
bool is_control_or_other(int32_t code);   ///< general categories Cc, Cf, Co and Cs
bool is_word_character(int32_t code);     ///< what `\w` matches
bool is_chinese_character(int32_t code);  ///< CJK ideographs as BERT counts them

/// Appends the lower case of one code point; it may be two code points long.
void append_lower_case(int32_t code, std::string& text);

enum class NormalForm { nfc, nfd, nfkc, nfkd };

/// `text`, which is valid UTF-8, in a normal form (UAX #15).
std::string normalize_unicode(std::string_view text, NormalForm form);

/// Calls `visit` with each grapheme cluster (UAX #29, extended) of valid UTF-8.
void each_grapheme(std::string_view text, const std::function<void(std::string_view)>& visit);

/// The byte where `text` stops being UTF-8, or npos.
size_t find_invalid_utf8(std::string_view text);

/// The next code point of valid UTF-8; `offset`, inside the text, moves behind it.
inline int32_t read_code_point(std::string_view text, size_t& offset) {
  const auto byte = [&](size_t i) { return static_cast<int32_t>(static_cast<uint8_t>(text[i])); };
  const int32_t lead = byte(offset);
  if (lead < 0x80) return ++offset, lead;
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  int32_t code = lead & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) code = (code << 6) | (byte(offset + i) & 0x3F);
  offset += length;
  return code;
}

/// Bytes of the code point that starts with `lead`.
inline size_t code_point_bytes(char lead) {
  const auto byte = static_cast<uint8_t>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

}  // namespace veomni
