#pragma once
// From words to ids: the `model` of a tokenizer file.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/tokenizer/workspace.h"

namespace veomni {

/// Tokens by id and ids by token. Ids may have gaps.
class TokenTable {
 public:
  /// Throws ConfigError `where: …` for an id below 0 or from kMostIds on, a token twice, an id
  /// twice.
  void add(std::string token, int64_t id, const std::string& where);

  int32_t find(std::string_view token) const {  ///< -1: absent
    const auto found = ids_.find(token);
    return found == ids_.end() ? -1 : found->second;
  }
  /// Null for an id that no token has.
  const std::string* token(int64_t id) const;
  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }  ///< largest id + 1

  static constexpr int64_t kMostIds = int64_t{1} << 24;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> ids_;
  std::vector<const std::string*> tokens_;
};

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  /// Appends the ids of one word. `word` is valid UTF-8 and not empty.
  virtual void encode(std::string_view word, Workspace& work, std::vector<int64_t>& out) const = 0;
  const TokenTable& tokens() const { return tokens_; }

 protected:
  explicit TokenModel(TokenTable tokens) : tokens_(std::move(tokens)) {}

  /// Appends the ids of `word`: those of the cache, or else what `make(work.ids)` puts into the empty vector.
  template <class Make>
  static void append_cached(std::string_view word, Workspace& work, std::vector<int64_t>& out,
                            const Make& make) {
    const bool kept = word.size() <= WordCache::kLongestWord;
    if (kept) {
      if (const auto known = work.cache.find(word); known.data != nullptr) {
        out.insert(out.end(), known.data, known.data + known.size);
        return;
      }
    }
    work.ids.clear();
    make(work.ids);
    if (kept) work.cache.put(word, work.ids.data(), work.ids.size());
    out.insert(out.end(), work.ids.begin(), work.ids.end());
  }

  const TokenTable tokens_;
};

/// Ids of the 256 tokens `<0x00>` … `<0xFF>`, or nothing where one is missing.
std::optional<std::vector<int32_t>> byte_tokens(const TokenTable& tokens);

struct BpeConfig {
  TokenTable tokens;
  /// `a b`: the tokens joined by the merge of this rank.
  struct Merge {
    int32_t left, right, joined, rank;
  };
  std::vector<Merge> merges;
  std::string unknown;  ///< empty: unknown characters are left out
  std::string continuing_prefix, end_of_word_suffix;
  bool fuse_unknown = false, byte_fallback = false, ignore_merges = false;
};
std::unique_ptr<TokenModel> make_bpe(BpeConfig config, const std::string& where);

struct UnigramConfig {
  TokenTable tokens;
  std::vector<double> scores;  ///< by id
  int32_t unknown = -1;        ///< -1: none
  double least_score = 0;      ///< unknown characters cost ten more than this one
  bool byte_fallback = false;
  std::vector<bool> in_text = {};  ///< by id: may stand for a piece of text; empty: all may
};
std::unique_ptr<TokenModel> make_unigram(UnigramConfig config, const std::string& where);

struct WordPieceConfig {
  TokenTable tokens;
  std::string unknown, continuing_prefix;
  int64_t most_characters = 100;  ///< longer words are unknown
};
std::unique_ptr<TokenModel> make_word_piece(WordPieceConfig config, const std::string& where);

}  // namespace veomni
