#include "core/template/characters.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "core/data/text.h"
#include "core/tokenizer/unicode.h"

namespace veomni::jinja {
namespace {

constexpr int32_t kSharpS = 0xDF;  // the one letter of Latin-1 whose capital is two letters

bool is_cased(int32_t code) {
  const auto category = utf8proc_category(code);
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
         category == UTF8PROC_CATEGORY_LT;
}

void append_upper(int32_t code, std::string& out) {
  if (code == kSharpS)
    out += "SS";
  else
    append_utf8(utf8proc_toupper(code), out);
}

void append_title(int32_t code, std::string& out) {
  if (code == kSharpS)
    out += "Ss";
  else
    append_utf8(utf8proc_totitle(code), out);
}

std::vector<int32_t> sorted_codes(std::string_view characters) {
  std::vector<int32_t> codes;
  for (size_t i = 0; i < characters.size();) codes.push_back(code_at(characters, i));
  std::sort(codes.begin(), codes.end());
  return codes;
}

}  // namespace

int32_t code_at(std::string_view text, size_t& offset) { return read_code_point(text, offset); }

bool is_space(int32_t code) { return is_white_space(code) || (code >= 0x1C && code <= 0x1F); }

bool is_printable(int32_t code) {
  if (code == ' ') return true;
  return !is_control_or_other(code) && !is_white_space(code) &&
         utf8proc_category(code) != UTF8PROC_CATEGORY_CN;
}

int64_t length_of(std::string_view text) {
  int64_t count = 0;
  for (const char c : text) count += (static_cast<uint8_t>(c) & 0xC0U) != 0x80U;
  return count;
}

size_t byte_of(std::string_view text, int64_t index) {
  size_t byte = 0;
  for (; index > 0 && byte < text.size(); --index) byte += code_point_bytes(text[byte]);
  return byte;
}

size_t last_code_point(std::string_view text) {
  size_t last = text.size() - 1;
  while (last > 0 && (static_cast<uint8_t>(text[last]) & 0xC0U) == 0x80U) --last;
  return last;
}

std::string_view strip(std::string_view text, std::string_view characters, bool left, bool right) {
  const auto codes = sorted_codes(characters);
  const auto goes = [&](int32_t code) {
    return codes.empty() ? is_space(code) : std::binary_search(codes.begin(), codes.end(), code);
  };
  size_t next = 0;
  while (left && !text.empty() && (next = 0, goes(code_at(text, next)))) text.remove_prefix(next);
  while (right && !text.empty()) {
    const size_t last = next = last_code_point(text);
    if (!goes(code_at(text, next))) break;
    text = text.substr(0, last);
  }
  return text;
}

std::string lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) append_lower_case(code_at(text, i), out);
  return out;
}

std::string upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) append_upper(code_at(text, i), out);
  return out;
}

std::string capitalize(std::string_view text) {
  std::string out;
  size_t first = 0;
  if (!text.empty()) append_title(code_at(text, first), out);
  return out + lower(text.substr(first));
}

std::string title(std::string_view text) {
  std::string out;
  bool inside = false;
  for (size_t i = 0; i < text.size();) {
    const int32_t code = code_at(text, i);
    if (inside)
      append_lower_case(code, out);
    else
      append_title(code, out);
    inside = is_cased(code);
  }
  return out;
}

bool is_class(int32_t code, std::string_view method) {
  const auto category = utf8proc_category(code);
  const bool letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
  const bool superscript = code == 0xB2 || code == 0xB3 || code == 0xB9;
  const bool digit = category == UTF8PROC_CATEGORY_ND || superscript;
  if (method == "isalpha") return letter;
  return method == "isdigit" ? digit : letter || digit || is_number(code);
}

void each_line(std::string_view text, bool keep_ends,
               const std::function<void(std::string_view)>& use) {
  size_t start = 0;
  for (size_t i = 0, at = 0; i < text.size(); at = i) {
    const int32_t code = code_at(text, i);
    const bool ends = (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) ||
                      code == 0x85 || code == 0x2028 || code == 0x2029;
    if (!ends) continue;
    if (code == '\r' && i < text.size() && text[i] == '\n') ++i;
    use(text.substr(start, (keep_ends ? i : at) - start));
    start = i;
  }
  if (start < text.size()) use(text.substr(start));
}

}  // namespace veomni::jinja
