#include "core/template/literals.h"

#include <charconv>

#include "core/data/text.h"
#include "core/error.h"

namespace veomni::jinja {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

class LiteralReader {
 public:
  LiteralReader(const Source& source, size_t at) : source_(source), text_(source.text), at_(at) {}
  size_t at() const { return at_; }

  void number(Token& token) {
    constexpr std::string_view kDecimal = "0123456789";
    const size_t start = at_;
    const bool after_dot = start > 0 && text_[start - 1] == '.';
    std::string number;
    const char base = text_[at_] == '0' && at_ + 1 < text_.size()
                          ? static_cast<char>(text_[at_ + 1] | 0x20)
                          : ' ';
    if (base == 'x' || base == 'o' || base == 'b') {
      at_ += 2;
      digits(number, base == 'x' ? "0123456789abcdefABCDEF" : base == 'o' ? "01234567" : "01");
      return finish_integer(token, start, number, base == 'x' ? 16 : base == 'o' ? 8 : 2);
    }
    digits(number, kDecimal);
    bool real = false;
    const auto digit_at = [&](size_t i) { return i < text_.size() && is_digit(text_[i]); };
    if (!after_dot && at_ < text_.size() && text_[at_] == '.' && digit_at(at_ + 1)) {
      real = true;
      number += text_[at_++];
      digits(number, kDecimal);
    }
    if (!after_dot && at_ < text_.size() && (text_[at_] | 0x20) == 'e') {
      const size_t sign =
          at_ + 1 < text_.size() && (text_[at_ + 1] == '+' || text_[at_ + 1] == '-');
      if (digit_at(at_ + 1 + sign)) {
        real = true;
        number += text_.substr(at_, 1 + sign);
        at_ += 1 + sign;
        digits(number, kDecimal);
      }
    }
    if (!real) return finish_integer(token, start, number, 10);
    token.type = Token::Type::real;
    if (number.find('+') != std::string::npos) number.erase(number.find('+'), 1);
    const auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), token.real);
    if (error != std::errc() || end != number.data() + number.size())
      source_.fail(start, "the number cannot be held; write a smaller one");
  }

  void text(Token& token) {
    const size_t start = at_;
    const char quote = text_[at_++];
    std::string value;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size())
        escape(value);
      else
        value += text_[at_++];
    }
    if (at_ >= text_.size()) source_.fail(start, "the text does not end; close its quote");
    ++at_;
    token.text = std::move(value);
  }

 private:
  void digits(std::string& out, std::string_view allowed) {
    const auto digit = [&](size_t i) {
      return i < text_.size() && allowed.find(text_[i]) != std::string_view::npos;
    };
    while (digit(at_) || (at_ < text_.size() && text_[at_] == '_' && digit(at_ + 1))) {
      if (text_[at_] != '_') out += text_[at_];
      ++at_;
    }
  }

  void finish_integer(Token& token, size_t start, const std::string& number, int base) {
    token.type = Token::Type::integer;
    const auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), token.integer, base);
    if (error != std::errc() || end != number.data() + number.size())
      source_.fail(start, "the integer cannot be held in 64 bits; write a smaller one");
  }

  // Python's escapes; a line end or an unknown letter as Python leaves them.
  void escape(std::string& value) {
    constexpr std::string_view kNames = "abfnrtv\\'\"", kMeans = "\a\b\f\n\r\t\v\\'\"";
    const char c = text_[at_ + 1];
    if (const size_t found = kNames.find(c); found != std::string_view::npos) {
      value += kMeans[found];
      at_ += 2;
    } else if (c == 'x' || c == 'u' || c == 'U') {
      hex(value, c == 'x' ? 2 : c == 'u' ? 4 : 8);
    } else if (c >= '0' && c <= '7') {
      int32_t code = 0;
      ++at_;
      for (int i = 0; i < 3 && at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '7'; ++i)
        code = code * 8 + (text_[at_++] - '0');
      append_utf8(code, value);
    } else if (c == 'N') {
      source_.fail(at_, "'\\N' is not supported; write the character itself");
    } else {
      if (c != '\n') value.append({'\\', c});
      at_ += 2;
    }
  }

  void hex(std::string& value, size_t count) {
    int32_t code = 0;
    const char* first = text_.data() + at_ + 2;
    const bool whole = at_ + 2 + count <= text_.size();
    const auto result = whole ? std::from_chars(first, first + count, code, 16)
                              : std::from_chars_result{first, std::errc::invalid_argument};
    const bool valid = result.ec == std::errc() && result.ptr == first + count && code >= 0 &&
                       code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    if (!valid)
      source_.fail(at_,
                   fmt::format("'\\{}' needs {} digits of a character", text_[at_ + 1], count));
    append_utf8(code, value);
    at_ += 2 + count;
  }

  const Source& source_;
  const std::string& text_;
  size_t at_;
};

}  // namespace

size_t read_number(const Source& source, size_t at, Token& token) {
  LiteralReader reader(source, at);
  reader.number(token);
  return reader.at();
}

size_t read_text(const Source& source, size_t at, Token& token) {
  LiteralReader reader(source, at);
  reader.text(token);
  return reader.at();
}

}  // namespace veomni::jinja
