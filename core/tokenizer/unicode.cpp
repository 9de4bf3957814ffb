#include "core/tokenizer/unicode.h"

#include <utf8proc.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "core/data/text.h"
#include "core/error.h"
#include "core/tokenizer/unicode_versions.h"

namespace veomni {
namespace {

bool between(int32_t code, int32_t first, int32_t last) { return code >= first && code <= last; }

int options_of(NormalForm form) {
  const bool compose = form == NormalForm::nfc || form == NormalForm::nfkc;
  const bool compatible = form == NormalForm::nfkc || form == NormalForm::nfkd;
  return UTF8PROC_STABLE | (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
         (compatible ? UTF8PROC_COMPAT : 0);
}

void append_normalized(std::string_view text, int options, std::string& out) {
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t length = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
      static_cast<utf8proc_ssize_t>(text.size()), &mapped, static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  require<Error>(length >= 0, "utf8proc_map: {}", utf8proc_errmsg(length));
  out.append(reinterpret_cast<const char*>(mapped), static_cast<size_t>(length));
}

/// Characters that normal forms leave alone part the text.
void append_in_pieces(std::string_view text, int options, std::string& out) {
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t here = at;
    if (!stays_in_normal_forms(read_code_point(text, at))) continue;
    if (begin < here) append_normalized(text.substr(begin, here - begin), options, out);
    out.append(text.substr(here, at - here));
    begin = at;
  }
  if (begin < text.size()) append_normalized(text.substr(begin), options, out);
}

}  // namespace

bool is_white_space(int32_t code) {
  if (code < 0x80) return code == ' ' || between(code, '\t', '\r');
  if (code == 0x85) return true;
  const auto category = utf8proc_category(code);
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
}

bool is_mark(int32_t code) {
  return between(utf8proc_category(code), UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_ME);
}

bool is_nonspacing_mark(int32_t code) {
  return code >= 0x300 && utf8proc_category(code) == UTF8PROC_CATEGORY_MN;
}

bool is_punctuation(int32_t code) {
  if (code < 0x80)
    return between(code, '!', '/') || between(code, ':', '@') || between(code, '[', '`') ||
           between(code, '{', '~');
  return between(utf8proc_category(code), UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO);
}

bool is_number(int32_t code) {
  return between(utf8proc_category(code), UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO);
}

bool is_control_or_other(int32_t code) {
  return between(utf8proc_category(code), UTF8PROC_CATEGORY_CC, UTF8PROC_CATEGORY_CO);
}

bool is_word_character(int32_t code) {
  // Letters in circles and squares are Alphabetic although their category is So.
  if (between(code, 0x24B6, 0x24E9) || between(code, 0x1F130, 0x1F149) ||
      between(code, 0x1F150, 0x1F169) || between(code, 0x1F170, 0x1F189))
    return true;
  const int32_t category = utf8proc_category(code);
  return between(category, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_NL) ||
         category == UTF8PROC_CATEGORY_PC || between(code, 0x200C, 0x200D);
}

bool is_chinese_character(int32_t code) {
  return between(code, 0x4E00, 0x9FFF) || between(code, 0x3400, 0x4DBF) ||
         between(code, 0x20000, 0x2A6DF) || between(code, 0x2A700, 0x2B73F) ||
         between(code, 0x2B740, 0x2B81F) || between(code, 0x2B920, 0x2CEAF) ||
         between(code, 0xF900, 0xFAFF) || between(code, 0x2F800, 0x2FA1F);
}

void append_lower_case(int32_t code, std::string& text) {
  if (code < 0x80) {
    text += static_cast<char>(between(code, 'A', 'Z') ? code + 32 : code);
  } else if (code == 0x130) {  // the only lower case of two code points (SpecialCasing.txt)
    text += "i\xCC\x87";
  } else {
    append_utf8(utf8proc_tolower(code), text);
  }
}

std::string normalize_unicode(std::string_view text, NormalForm form) {
  // Code points below U+0300 are their own NFC and never join what stands before them; in the
  // other forms that holds for ASCII. Only what lies between such code points is looked up.
  const uint8_t plain_leads = form == NormalForm::nfc ? 0xCC : 0x80;
  const auto plain = [&](size_t i) { return static_cast<uint8_t>(text[i]) < plain_leads; };
  const int options = options_of(form);
  std::string out;
  out.reserve(text.size());
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin, last = begin;  // `last`: the code point that a mark behind it may join
    while (end < text.size() && plain(end)) last = end, end += code_point_bytes(text[end]);
    if (end == text.size()) last = end;
    out.append(text.substr(begin, last - begin));
    while (end < text.size() && !plain(end)) end += code_point_bytes(text[end]);
    if (last < end) append_in_pieces(text.substr(last, end - last), options, out);
    begin = end;
  }
  return out;
}

void each_grapheme(std::string_view text, const std::function<void(std::string_view)>& visit) {
  size_t begin = 0;
  int32_t state = 0, last = -1;
  for (size_t at = 0; at < text.size();) {
    const size_t here = at;
    const int32_t code = read_code_point(text, at);
    if (last >= 0 && utf8proc_grapheme_break_stateful(last, code, &state)) {
      visit(text.substr(begin, here - begin));
      begin = here;
    }
    last = code;
  }
  if (begin < text.size()) visit(text.substr(begin));
}

size_t find_invalid_utf8(std::string_view text) {
  for (size_t offset = 0; offset < text.size();) {
    uint64_t word = 0;
    while (text.size() - offset >= sizeof word) {
      std::memcpy(&word, text.data() + offset, sizeof word);
      if ((word & 0x8080808080808080u) != 0) break;
      offset += sizeof word;
    }
    if (offset < text.size() && next_code_point(text, offset) < 0) return offset;
  }
  return std::string_view::npos;
}

}  // namespace veomni
