// WordPiece as BERT runs it: the longest token that starts the rest of the word, again and again.
#include "core/data/text.h"
#include "core/error.h"
#include "core/tokenizer/token_model.h"
#include "core/tokenizer/unicode.h"

namespace veomni {
namespace {

class WordPiece : public TokenModel {
 public:
  WordPiece(WordPieceConfig config, const std::string& where)
      : TokenModel(std::move(config.tokens)),
        prefix_(std::move(config.continuing_prefix)),
        most_characters_(config.most_characters),
        unknown_(tokens_.find(config.unknown)) {
    require<ConfigError>(unknown_ >= 0, "{}: unk_token '{}' is not in the vocabulary; add it",
                         where, shown(config.unknown));
    for (int64_t id = 0; id < tokens_.size(); ++id)
      if (const auto* token = tokens_.token(id)) longest_ = std::max(longest_, token->size());
  }

  void encode(std::string_view word, Workspace& work, std::vector<int64_t>& out) const override {
    append_cached(word, work, out, [&](std::vector<int32_t>& ids) {
      if (!fits(word) || !cut(word, ids)) ids.assign(1, unknown_);
    });
  }

 private:
  bool fits(std::string_view word) const {
    int64_t characters = 0;
    for (size_t at = 0; at < word.size() && characters <= most_characters_; ++characters)
      at += code_point_bytes(word[at]);
    return characters <= most_characters_;
  }

  bool cut(std::string_view word, std::vector<int32_t>& ids) const {
    std::string tried;
    for (size_t begin = 0; begin < word.size();) {
      tried.assign(begin > 0 ? prefix_ : "");
      const size_t before = tried.size();
      tried.append(word.substr(begin, longest_));
      int32_t id = -1;
      while (tried.size() > before && (id = tokens_.find(tried)) < 0) {
        while ((static_cast<uint8_t>(tried.back()) & 0xC0) == 0x80) tried.pop_back();
        tried.pop_back();
      }
      if (id < 0) return false;
      ids.push_back(id);
      begin += tried.size() - before;
    }
    return true;
  }

  std::string prefix_;
  int64_t most_characters_;
  int32_t unknown_;
  size_t longest_ = 0;  // bytes of the longest token
};

}  // namespace

std::unique_ptr<TokenModel> make_word_piece(WordPieceConfig config, const std::string& where) {
  return std::make_unique<WordPiece>(std::move(config), where);
}

}  // namespace veomni
