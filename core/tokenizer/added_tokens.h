#pragma once
// Tokens that are found in the text before anything else cuts it: `added_tokens` of a tokenizer
// file, for example `<|im_end|>`.

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/tokenizer/normalizer.h"
#include "core/tokenizer/token_model.h"

namespace veomni {

struct AddedToken {
  std::string content;  ///< AddedTokens keeps it normalized where `normalized` is set
  int32_t id = 0;
  bool single_word = false;  ///< not next to a word character
  bool lstrip = false;       ///< takes the white space before it along
  bool rstrip = false;       ///< takes the white space behind it along
  bool normalized = false;   ///< looked for in the normalized text
  bool special = false;
};

/// Finds tokens of one kind in a text: the leftmost, and of those the longest.
class TokenFinder {
 public:
  void add(std::string pattern, const AddedToken& token);
  /// Calls `visit(piece, id)` for the parts of `text` in their order; id -1: ordinary text.
  template <class Visit>
  void cut(std::string_view text, const Visit& visit) const;

 private:
  struct Pattern {
    std::string text;
    AddedToken token;
  };
  struct Match {
    size_t begin = 0, end = 0;
    const Pattern* pattern = nullptr;
  };
  Match find(std::string_view text, size_t from) const;
  static bool widen(std::string_view text, size_t from, Match& match);

  std::array<std::vector<Pattern>, 256> by_first_byte_;  // longest first
  bool any_ = false;
};

class AddedTokens {
 public:
  /// `normalizer` may be null and is not kept. Throws ConfigError `where: …`.
  void add(AddedToken token, const Normalizer* normalizer, Workspace& work,
           const std::string& where);

  /// The token with that id, or null.
  const AddedToken* find(int64_t id) const {
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : &found->second;
  }
  const AddedToken* find(const std::string& content) const {
    const auto found = ids_.find(content);
    return found == ids_.end() ? nullptr : find(found->second);
  }
  int64_t largest_id() const { return largest_id_; }

  const TokenFinder& raw() const { return raw_; }                ///< looks at the text as it is
  const TokenFinder& normalized() const { return normalized_; }  ///< at the normalized text

 private:
  std::unordered_map<int64_t, AddedToken> by_id_;
  std::unordered_map<std::string, int64_t> ids_;
  TokenFinder raw_, normalized_;
  int64_t largest_id_ = -1;
};

template <class Visit>
void TokenFinder::cut(std::string_view text, const Visit& visit) const {
  size_t done = 0;
  for (size_t from = 0; any_ && from < text.size();) {
    Match match = find(text, from);
    if (match.pattern == nullptr) break;
    from = match.end;
    if (!widen(text, done, match)) continue;
    if (done < match.begin) visit(text.substr(done, match.begin - done), -1);
    visit(text.substr(match.begin, match.end - match.begin), match.pattern->token.id);
    done = match.end, from = std::max(from, done);
  }
  if (done < text.size()) visit(text.substr(done), -1);
}

}  // namespace veomni
