#include "core/tokenizer/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "core/data/text.h"
#include "core/error.h"
#include "core/tokenizer/unicode.h"

namespace veomni {
namespace {

int32_t code_point_before(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while (begin > 0 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
  return read_code_point(text, begin);
}

}  // namespace

void TokenFinder::add(std::string pattern, const AddedToken& token) {
  auto& list = by_first_byte_[static_cast<uint8_t>(pattern.front())];
  const auto place = std::find_if(list.begin(), list.end(), [&](const Pattern& other) {
    return other.text.size() < pattern.size();
  });
  list.insert(place, {std::move(pattern), token});
  any_ = true;
}

TokenFinder::Match TokenFinder::find(std::string_view text, size_t from) const {
  for (size_t at = from; at < text.size(); ++at) {
    for (const Pattern& pattern : by_first_byte_[static_cast<uint8_t>(text[at])])
      if (text.substr(at).starts_with(pattern.text))
        return {at, at + pattern.text.size(), &pattern};
  }
  return {};
}

// False where the token must be a word of its own and is not. White space before `from` belongs to
// another token.
bool TokenFinder::widen(std::string_view text, size_t from, Match& match) {
  const AddedToken& token = match.pattern->token;
  if (token.single_word) {
    size_t after = match.end;
    if (match.begin > 0 && is_word_character(code_point_before(text, match.begin))) return false;
    if (after < text.size() && is_word_character(read_code_point(text, after))) return false;
  }
  while (token.lstrip && match.begin > from &&
         is_white_space(code_point_before(text, match.begin))) {
    do --match.begin;
    while ((static_cast<uint8_t>(text[match.begin]) & 0xC0) == 0x80);
  }
  for (size_t at = match.end; token.rstrip && at < text.size(); match.end = at)
    if (!is_white_space(read_code_point(text, at))) break;
  match.begin = std::max(match.begin, from);
  return match.begin < match.end;
}

void AddedTokens::add(AddedToken token, const Normalizer* normalizer, Workspace& work,
                      const std::string& where) {
  require<ConfigError>(!token.content.empty(), "{}: the content is empty; remove the token", where);
  require<ConfigError>(find(token.content) == nullptr,
                       "{}: the token '{}' stands there twice; remove one", where,
                       shown(token.content));
  std::string pattern = token.content;
  if (token.normalized && normalizer != nullptr) normalizer->apply(pattern, work);
  if (!pattern.empty()) (token.normalized ? normalized_ : raw_).add(pattern, token);
  const int32_t id = token.id;
  largest_id_ = std::max<int64_t>(largest_id_, id);
  ids_.emplace(std::move(token.content), id);
  token.content = std::move(pattern);  // decoding gives what was found
  const auto [entry, fresh] = by_id_.emplace(id, std::move(token));
  require<ConfigError>(fresh, "{}: the id {} belongs to '{}' already; give each token its own",
                       where, id, shown(entry->second.content));
}

}  // namespace veomni
