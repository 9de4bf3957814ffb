#include "core/tokenizer/charsmap.h"

#include <cstring>

#include "core/error.h"
#include "core/tokenizer/unicode.h"

namespace veomni {
namespace {

// darts-clone, include/darts.h, DoubleArrayUnit
bool has_leaf(uint32_t unit) { return ((unit >> 8) & 1) == 1; }
uint32_t value_of(uint32_t unit) { return unit & ((1U << 31) - 1); }
uint32_t label_of(uint32_t unit) { return unit & ((1U << 31) | 0xFF); }
uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & (1U << 9)) >> 6); }

uint32_t little_endian(const char* bytes) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

}  // namespace

Charsmap::Charsmap(std::string_view bytes, const std::string& where) {
  const auto need = [&](bool holds) {
    require<ConfigError>(holds, "{}: is no precompiled_charsmap; copy the file again", where);
  };
  need(bytes.size() > 4);
  const size_t trie = little_endian(bytes.data());
  need(trie > 0 && trie % 4 == 0 && trie < bytes.size() - 4);
  for (size_t i = 0; i < trie; i += 4) units_.push_back(little_endian(bytes.data() + 4 + i));
  texts_ = bytes.substr(4 + trie);
  need(texts_.back() == '\0');
  need(find_invalid_utf8(texts_) == std::string_view::npos);
}

Charsmap::Match Charsmap::find(std::string_view text, bool longest) const {
  Match match;
  size_t place = offset_of(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    place ^= byte;
    if (byte == 0 || place >= units_.size() || label_of(units_[place]) != byte) break;
    const uint32_t unit = units_[place];
    place ^= offset_of(unit);
    if (!has_leaf(unit) || place >= units_.size()) continue;
    const size_t start = value_of(units_[place]);
    // A rule for half a character, or one that points nowhere, is none.
    if (start >= texts_.size() || find_invalid_utf8(text.substr(0, i + 1)) != text.npos) continue;
    match = {i + 1, std::string_view(texts_.c_str() + start)};
    if (find_invalid_utf8(match.replacement) != std::string_view::npos) match = {};
    if (match.length > 0 && !longest) break;
  }
  return match;
}

std::string decode_base64(std::string_view text, const std::string& where) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  uint32_t bits = 0;
  bool valid = text.size() % 4 == 0;
  for (size_t i = 0; valid && i < text.size() - padding; ++i) {
    const size_t digit = kDigits.find(text[i]);
    valid = digit != std::string_view::npos;
    bits = bits << 6 | static_cast<uint32_t>(digit & 63);
    if (i % 4 != 0) bytes += static_cast<char>(bits >> (6 - 2 * (i % 4)) & 0xFF);
  }
  require<ConfigError>(valid, "{}: is no base64; copy the file again", where);
  return bytes;
}

void apply_charsmap(const Charsmap& map, std::string& text) {
  std::string out;
  out.reserve(text.size());
  const std::string_view all = text;
  for (size_t at = 0; at < all.size();) {
    const auto match = map.longest(all.substr(at));
    const size_t length = match.length > 0 ? match.length : code_point_bytes(all[at]);
    out += match.length > 0 ? match.replacement : all.substr(at, length);
    at += length;
  }
  text.swap(out);
}

void apply_charsmap_to_graphemes(const Charsmap& map, std::string& text) {
  constexpr size_t kShort = 6;
  std::string out;
  out.reserve(text.size());
  each_grapheme(text, [&](std::string_view grapheme) {
    if (grapheme.size() < kShort)
      if (const auto match = map.shortest(grapheme); match.length > 0)
        return void(out += match.replacement);
    for (size_t at = 0; at < grapheme.size();) {
      const auto character = grapheme.substr(at, code_point_bytes(grapheme[at]));
      const auto match = map.shortest(character);
      out += match.length > 0 ? match.replacement : character;
      at += character.size();
    }
  });
  text.swap(out);
}

}  // namespace veomni
