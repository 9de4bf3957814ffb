#include "core/data/text.h"

#include <algorithm>

namespace veomni {

int32_t next_code_point(std::string_view text, size_t& offset) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(offset);
  if (lead < 0x80) return text[offset++];
  const size_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  if (lead < 0xC2 || lead > 0xF4 || text.size() - offset <= more) return -1;
  int32_t code = lead & (0x3F >> more);
  for (size_t i = 1; i <= more; ++i) {
    if ((byte(offset + i) & 0xC0) != 0x80) return -1;
    code = (code << 6) | (byte(offset + i) & 0x3F);
  }
  constexpr int32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
  if (code < kLeast[more] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return -1;
  offset += more + 1;
  return code;
}

void append_utf8(int32_t code, std::string& text) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | (code >> 12));
    tail(6), tail(0);
  } else {
    text += static_cast<char>(0xF0 | (code >> 18));
    tail(12), tail(6), tail(0);
  }
}

std::string shown(std::string_view text, int most) {
  std::string line;
  size_t offset = 0;
  for (int count = 0; offset < text.size() && count < most; ++count) {
    const size_t start = offset;
    const int32_t code = next_code_point(text, offset);
    if (code < 0) ++offset;
    if (code >= 0 && (code < 0x20 || (code >= 0x7F && code < 0xA0)))  // controls
      line += ' ';
    else
      line += code < 0 ? "?" : text.substr(start, offset - start);
  }
  if (offset < text.size()) line += "…";
  return line;
}

std::string join_names(const std::vector<std::string>& names, size_t limit) {
  std::string joined;
  for (size_t i = 0; i < std::min(names.size(), limit); ++i)
    joined += (i == 0 ? "" : ", ") + shown(names[i]);
  if (names.size() > limit) joined += ", …";
  return joined;
}

}  // namespace veomni
