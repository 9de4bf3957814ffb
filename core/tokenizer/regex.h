#pragma once
// Regular expressions as tokenizer files write them (Oniguruma's syntax), run by PCRE2 with its
// just-in-time compiler.

#include <memory>
#include <string>
#include <string_view>

namespace veomni {

/// What a match writes to: one for each thread.
class RegexScratch {
 public:
  RegexScratch();
  ~RegexScratch();
  RegexScratch(RegexScratch&&) = delete;

 private:
  friend class Regex;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

class Regex {
 public:
  /// Throws ConfigError `where: …` for syntax that is wrong, that means something else in PCRE2, or
  /// that can match the empty text.
  Regex(std::string_view pattern, const std::string& where);
  static Regex literal(std::string_view text, const std::string& where);

  /// The leftmost match in `text` (valid UTF-8) from `offset` on; looking behind sees what stands
  /// before. False when there is none. Throws ConfigError when the search takes too many steps.
  bool find(std::string_view text, size_t offset, size_t& begin, size_t& end,
            RegexScratch& scratch) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
  std::string where_;
};

}  // namespace veomni
