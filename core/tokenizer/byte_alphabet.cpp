#include "core/tokenizer/byte_alphabet.h"

#include "core/data/text.h"
#include "core/tokenizer/unicode.h"

namespace veomni {
namespace {

constexpr int32_t kCharacters = 0x144;  // one more than the last of the alphabet

struct Alphabet {
  std::array<std::array<char, 2>, 256> characters{};  // UTF-8
  std::array<uint8_t, 256> lengths{};
  std::array<int16_t, kCharacters> bytes{};

  Alphabet() {
    bytes.fill(-1);
    int32_t next = 0x100;  // printable bytes stand for themselves, the others follow from here
    for (int32_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) ||
                             (byte >= 0xAE && byte <= 0xFF);
      const int32_t code = printable ? byte : next++;
      std::string text;
      append_utf8(code, text);
      std::copy(text.begin(), text.end(), characters[static_cast<size_t>(byte)].begin());
      lengths[static_cast<size_t>(byte)] = static_cast<uint8_t>(text.size());
      bytes[static_cast<size_t>(code)] = static_cast<int16_t>(byte);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet made;
  return made;
}

}  // namespace

void append_byte_characters(std::string_view text, std::string& out) {
  const Alphabet& table = alphabet();
  const size_t before = out.size();
  out.resize(before + 2 * text.size());
  char* to = out.data() + before;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    to[0] = table.characters[byte][0], to[1] = table.characters[byte][1];
    to += table.lengths[byte];
  }
  out.resize(static_cast<size_t>(to - out.data()));
}

bool append_bytes_of(std::string_view token, std::string& out) {
  const Alphabet& table = alphabet();
  const size_t before = out.size();
  for (size_t at = 0; at < token.size();) {
    const int32_t code = read_code_point(token, at);
    const int16_t byte = code < kCharacters ? table.bytes[static_cast<size_t>(code)] : int16_t{-1};
    if (byte < 0) {
      out.resize(before);
      return false;
    }
    out += static_cast<char>(byte);
  }
  return true;
}

}  // namespace veomni
