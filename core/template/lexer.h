#pragma once
// Cuts a template into data, and the tokens of its tags, with Jinja's handling of white space
// (trim_blocks and lstrip_blocks on, as transformers sets them).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace veomni::jinja {

inline constexpr size_t kTemplateBytes = size_t{1} << 20;  ///< largest template read

struct Token {
  enum class Type {
    data,
    block_begin,
    block_end,
    print_begin,
    print_end,
    name,
    string,
    integer,
    real,
    symbol,
    end
  };
  Type type = Type::end;
  std::string text;  ///< data and strings: what they mean, escapes resolved
  int64_t integer = 0;
  double real = 0;
  size_t at = 0;  ///< byte in the source

  bool is(Type wanted, std::string_view words) const { return type == wanted && text == words; }
  bool symbol(std::string_view words) const { return is(Type::symbol, words); }
  bool name(std::string_view words) const { return is(Type::name, words); }
};

/// A template's text with the name that errors show.
struct Source {
  std::string name, text;
  /// Throws ConfigError `name:line:column: message`.
  [[noreturn]] void fail(size_t at, const std::string& message) const;
};

/// `\r\n` and `\r` become `\n`; one line end at the end is dropped.
std::string normalized_source(std::string_view text);

/// The last token is `end`. Throws ConfigError.
std::vector<Token> tokenize(const Source& source);

}  // namespace veomni::jinja
