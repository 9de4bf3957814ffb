#include "core/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/data/text.h"
#include "core/error.h"

namespace veomni {
namespace {

// Oniguruma's classes, spelt out: PCRE2's \s also has U+180E, and its \w lacks marks.
constexpr std::string_view kSpace = R"(\t-\r\x{85}\p{Z})";
// Its own \w holds the superscripts and fractions of Latin-1 too.
constexpr std::string_view kWord =
    R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE})";

/// Rewrites a pattern for PCRE2 and refuses what the two read differently.
class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where)
      : pattern_(pattern), where_(where) {}

  std::string translate() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '\\')
        escape();
      else if (in_class_)
        class_character(c);
      else if (c == '[')
        open_class();
      else if (c == '(' && pattern_.substr(at_, 3) == "(?m")
        refuse("(?m");
      else
        out_ += c, ++at_;
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    throw ConfigError(
        fmt::format("{}: the regular expression uses '{}', which this version does not read; write "
                    "it another way",
                    where_, shown(what)));
  }

  void open_class() {
    in_class_ = true, out_ += '[', ++at_;
    if (at_ < pattern_.size() && pattern_[at_] == '^') out_ += '^', ++at_;
    if (at_ < pattern_.size() && pattern_[at_] == ']') refuse("[]");
  }

  void class_character(char c) {
    if (c == '[') {
      const size_t end = pattern_.find(":]", at_);
      if (pattern_.substr(at_, 2) != "[:" || end == std::string_view::npos) refuse("[…[");
      out_ += pattern_.substr(at_, end + 2 - at_), at_ = end + 2;
      return;
    }
    if (pattern_.substr(at_, 2) == "&&") refuse("&&");
    if (c == ']') in_class_ = false;
    out_ += c, ++at_;
  }

  void put_class(std::string_view items, bool negated) {
    if (in_class_ && negated) refuse(pattern_.substr(at_, 2));
    if (in_class_)
      out_ += items;
    else
      out_ += fmt::format("[{}{}]", negated ? "^" : "", items);
    at_ += 2;
  }

  void escape() {
    if (at_ + 1 >= pattern_.size()) refuse("\\");
    const char c = pattern_[at_ + 1];
    constexpr std::string_view kSame = "pPdDrntfxAz";
    if (c == 's' || c == 'S') return put_class(kSpace, c == 'S');
    if (c == 'w' || c == 'W') return put_class(kWord, c == 'W');
    const bool punctuation = static_cast<uint8_t>(c) < 0x80 && std::ispunct(c) != 0;
    if (c == 'u' && at_ + 6 <= pattern_.size()) {
      out_ += fmt::format("\\x{{{}}}", pattern_.substr(at_ + 2, 4)), at_ += 6;
      return;
    }
    if (!punctuation && kSame.find(c) == std::string_view::npos) refuse(pattern_.substr(at_, 2));
    out_ += pattern_.substr(at_, 2), at_ += 2;
  }

  std::string_view pattern_;
  const std::string& where_;
  size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

std::string message_of(int code) {
  PCRE2_UCHAR text[256];
  if (pcre2_get_error_message(code, text, sizeof text) < 0) return fmt::format("error {}", code);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

struct RegexScratch::Parts {
  pcre2_match_data* match = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(size_t{32} << 10, size_t{8} << 20, nullptr);

  Parts() { pcre2_jit_stack_assign(context, nullptr, stack); }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  ~Parts() {
    pcre2_match_data_free(match);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
};

RegexScratch::RegexScratch() : parts_(std::make_unique<Parts>()) {
  require<Error>(parts_->match != nullptr && parts_->context != nullptr, "PCRE2: out of memory");
}
RegexScratch::~RegexScratch() = default;

struct Regex::Code {
  pcre2_code* code = nullptr;
  bool compiled_to_machine_code = false;

  Code() = default;
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() { pcre2_code_free(code); }
};

Regex::Regex(std::string_view pattern, const std::string& where) : where_(where) {
  const std::string translated = Translator(pattern, where).translate();
  auto made = std::make_shared<Code>();
  int error = 0;
  PCRE2_SIZE place = 0;
  made->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                             &error, &place, nullptr);
  require<ConfigError>(made->code != nullptr,
                       "{}: the regular expression '{}' is wrong ({}); correct it", where,
                       shown(pattern), message_of(error));
  uint32_t matches_empty = 0;
  pcre2_pattern_info(made->code, PCRE2_INFO_MATCHEMPTY, &matches_empty);
  require<ConfigError>(matches_empty == 0,
                       "{}: the regular expression '{}' matches the empty text; use + instead of *",
                       where, shown(pattern));
  made->compiled_to_machine_code = pcre2_jit_compile(made->code, PCRE2_JIT_COMPLETE) == 0;
  code_ = std::move(made);
}

Regex Regex::literal(std::string_view text, const std::string& where) {
  std::string pattern;
  for (const char c : text) {
    if (static_cast<uint8_t>(c) < 0x80 && std::ispunct(c) != 0) pattern += '\\';
    pattern += c;
  }
  return {pattern, where};
}

bool Regex::find(std::string_view text, size_t offset, size_t& begin, size_t& end,
                 RegexScratch& scratch) const {
  const auto& parts = *scratch.parts_;
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const int found = code_->compiled_to_machine_code
                        ? pcre2_jit_match(code_->code, subject, text.size(), offset, 0, parts.match,
                                          parts.context)
                        : pcre2_match(code_->code, subject, text.size(), offset, PCRE2_NO_UTF_CHECK,
                                      parts.match, parts.context);
  if (found == PCRE2_ERROR_NOMATCH) return false;
  require<ConfigError>(found > 0,
                       "{}: the regular expression gave up ({}); write a simpler one, or shorten "
                       "the text's longest line",
                       where_, message_of(found));
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(parts.match);
  begin = bounds[0], end = bounds[1];
  return true;
}

}  // namespace veomni
