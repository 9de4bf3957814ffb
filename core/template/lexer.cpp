#include "core/template/lexer.h"

#include <algorithm>

#include "core/data/text.h"
#include "core/error.h"
#include "core/json.h"
#include "core/template/characters.h"
#include "core/template/literals.h"

namespace veomni::jinja {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<uint8_t>(c) >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(const Source& source) : source_(source), text_(source.text) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) {
      const size_t open = find_opening(at_);
      add_data(at_, open);
      if (open >= text_.size()) break;
      const char kind = text_[open + 1];
      at_ = open + 2;
      if (at_ < text_.size() && (text_[at_] == '-' || text_[at_] == '+')) ++at_;
      if (kind == '#') {
        skip_comment(open);
      } else if (kind == '%' && raw_tag()) {
        add_raw(open);
      } else {
        add_tag(open, kind == '{');
      }
      line_start_ = at_ > 0 && text_[at_ - 1] == '\n';
    }
    add(Token::Type::end, text_.size());
    return std::move(tokens_);
  }

 private:
  Token& add(Token::Type type, size_t at, std::string text = "") {
    Token& token = tokens_.emplace_back();
    token.type = type;
    token.at = at;
    token.text = std::move(text);
    return token;
  }

  size_t find_opening(size_t from) const {
    for (size_t i = from; i + 1 < text_.size(); ++i)
      if (text_[i] == '{' && (text_[i + 1] == '{' || text_[i + 1] == '%' || text_[i + 1] == '#'))
        return i;
    return text_.size();
  }

  // The text before a tag, cut back as the tag's sign or lstrip_blocks ask.
  void add_data(size_t begin, size_t open) {
    std::string_view data = std::string_view(text_).substr(begin, open - begin);
    if (open < text_.size()) {
      const char sign = open + 2 < text_.size() ? text_[open + 2] : ' ';
      if (sign == '-') {
        data = strip(data, {}, false, true);
      } else if (sign != '+' && text_[open + 1] != '{') {
        const size_t line = data.rfind('\n') + 1;  // npos + 1 is 0
        if ((line > 0 || line_start_) && strip(data.substr(line), {}, true, false).empty())
          data = data.substr(0, line);
      }
    }
    if (!data.empty()) add(Token::Type::data, begin, std::string(data));
  }

  void skip_white() {
    size_t next = at_;
    while (at_ < text_.size() && is_space(code_at(text_, next))) at_ = next;
  }

  // Behind a closing tag: `-` takes all white space along, otherwise a line end where `trims`.
  void close(bool minus, bool trims) {
    if (minus)
      skip_white();
    else if (trims && at_ < text_.size() && text_[at_] == '\n')
      ++at_;
  }

  void skip_comment(size_t open) {
    size_t end = text_.find("#}", at_);
    if (end == std::string::npos) source_.fail(open, "the comment does not end; add '#}'");
    const char sign = end > at_ ? text_[end - 1] : ' ';
    at_ = end + 2;
    close(sign == '-', sign != '+');
  }

  bool raw_tag() {
    const size_t start = at_;
    const auto word = [&](std::string_view expected) {
      skip_white();
      if (text_.compare(at_, expected.size(), expected) != 0) return false;
      at_ += expected.size();
      skip_white();
      return true;
    };
    if (word("raw")) {
      if (text_.compare(at_, 3, "-%}") == 0) {
        at_ += 3;
        skip_white();
        return true;
      }
      if (text_.compare(at_, 2, "%}") == 0) return at_ += 2, true;
    }
    at_ = start;
    return false;
  }

  void add_raw(size_t open) {
    const size_t begin = at_;
    line_start_ = begin > 0 && text_[begin - 1] == '\n';
    for (size_t i = begin; (i = text_.find("{%", i)) != std::string::npos; ++i) {
      at_ = i + 2;
      if (at_ < text_.size() && (text_[at_] == '-' || text_[at_] == '+')) ++at_;
      skip_white();
      if (text_.compare(at_, 6, "endraw") != 0) continue;
      at_ += 6;
      skip_white();
      const char sign = at_ < text_.size() && text_[at_] != '%' ? text_[at_] : ' ';
      if (sign == '-' || sign == '+') ++at_;
      if (text_.compare(at_, 2, "%}") != 0) continue;
      at_ += 2;
      add_data(begin, i);
      close(sign == '-', sign != '+');
      return;
    }
    source_.fail(open, "the raw block does not end; add '{% endraw %}'");
  }

  void add_tag(size_t open, bool print) {
    add(print ? Token::Type::print_begin : Token::Type::block_begin, open);
    const std::string_view end = print ? "}}" : "%}";
    std::string brackets;
    while (true) {
      skip_white();
      if (at_ >= text_.size())
        source_.fail(open, fmt::format("the tag does not end; add '{}'", end));
      if (brackets.empty() && closes(end)) break;
      add_token(brackets);
    }
    Token& token = add(print ? Token::Type::print_end : Token::Type::block_end, at_);
    const char sign = text_[at_] == '-' || text_[at_] == '+' ? text_[at_] : ' ';
    at_ += sign == ' ' ? 2 : 3;
    close(sign == '-', sign != '+' && !print);
    token.text = end;
  }

  bool closes(std::string_view end) const {
    const auto here = std::string_view(text_).substr(at_, 3);
    if (here.substr(0, 2) == end) return true;
    const bool sign = here.size() == 3 && (here[0] == '-' || (here[0] == '+' && end == "%}"));
    return sign && here.substr(1) == end;
  }

  void add_token(std::string& brackets) {
    const char c = text_[at_];
    if (is_digit(c)) return add_number();
    if (starts_name(c)) return add_name();
    if (c == '"' || c == '\'') return add_string();
    add_symbol(brackets);
  }

  void add_name() {
    const size_t start = at_;
    while (at_ < text_.size() && (starts_name(text_[at_]) || is_digit(text_[at_]))) ++at_;
    add(Token::Type::name, start, text_.substr(start, at_ - start));
  }

  void add_number() {
    const size_t start = at_;
    at_ = read_number(source_, start, add(Token::Type::integer, start));
  }

  void add_string() {
    const size_t start = at_;
    at_ = read_text(source_, start, add(Token::Type::string, start));
  }

  void add_symbol(std::string& brackets) {
    static constexpr std::string_view kSymbols[] = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    const auto rest = std::string_view(text_).substr(at_);
    const auto* found =
        std::find_if(std::begin(kSymbols), std::end(kSymbols),
                     [&](std::string_view s) { return rest.substr(0, s.size()) == s; });
    if (found == std::end(kSymbols))
      source_.fail(at_, fmt::format("unexpected character '{}'", shown(rest.substr(0, 1))));
    constexpr std::string_view kOpen = "([{", kClose = ")]}";
    const char c = found->front();
    if (kOpen.find(c) != std::string_view::npos) {
      brackets += kClose[kOpen.find(c)];
    } else if (kClose.find(c) != std::string_view::npos) {
      if (brackets.empty() || brackets.back() != c)
        source_.fail(at_, fmt::format("unexpected '{}'", c));
      brackets.pop_back();
    }
    add(Token::Type::symbol, at_, std::string(*found));
    at_ += found->size();
  }

  const Source& source_;
  const std::string& text_;
  size_t at_ = 0;
  bool line_start_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

void Source::fail(size_t at, const std::string& message) const {
  JsonPlace place;
  for (size_t i = 0; i < std::min(at, text.size()); ++i) {
    if (text[i] == '\n') {
      ++place.line;
      place.column = 1;
    } else if ((static_cast<uint8_t>(text[i]) & 0xC0U) != 0x80U) {
      ++place.column;
    }
  }
  constexpr int kMostShown = 500;  // a template may raise what it likes, and name things so
  throw ConfigError(
      fmt::format("{}:{}:{}: {}", name, place.line, place.column, shown(message, kMostShown)));
}

std::string normalized_source(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      out += text[i];
    } else {
      out += '\n';
      if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

std::vector<Token> tokenize(const Source& source) { return Lexer(source).run(); }

}  // namespace veomni::jinja
