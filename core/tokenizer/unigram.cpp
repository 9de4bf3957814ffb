// Unigram language model (Kudo 2018): of all ways to cut a word into tokens, the one whose scores
// (log-probabilities) have the largest sum, found by Viterbi's algorithm.
#include <algorithm>

#include "core/error.h"
#include "core/tokenizer/pair_table.h"
#include "core/tokenizer/token_model.h"
#include "core/tokenizer/unicode.h"

namespace veomni {
namespace {

constexpr double kUnknownPenalty = 10;

class Unigram : public TokenModel {
 public:
  Unigram(UnigramConfig config, const std::string& where)
      : TokenModel(std::move(config.tokens)),
        scores_(std::move(config.scores)),
        in_text_(std::move(config.in_text)),
        unknown_(config.unknown),
        unknown_score_(config.least_score - kUnknownPenalty),
        where_(where) {
    if (config.byte_fallback) bytes_ = byte_tokens(tokens_);
    ends_.push_back(-1);
    for (int32_t id = 0; id < tokens_.size(); ++id)
      if (in_text(id))
        if (const auto* token = tokens_.token(id)) add_to_trie(*token, id);
  }

  void encode(std::string_view word, Workspace& work, std::vector<int64_t>& out) const override {
    append_cached(word, work, out, [&](std::vector<int32_t>& ids) {
      require<ConfigError>(word.size() < INT32_MAX, "{}: a piece of text has {} bytes; shorten it",
                           where_, word.size());
      find_path(word, work.path);
      collect(word, work.path, ids);
    });
  }

 private:
  bool in_text(int32_t id) const { return in_text_.empty() || in_text_[static_cast<size_t>(id)]; }

  void add_to_trie(std::string_view token, int32_t id) {
    int32_t node = 0;
    for (const char c : token) {
      const auto byte = static_cast<int32_t>(static_cast<uint8_t>(c));
      if (const auto* edge = trie_.find(node, byte)) {
        node = edge->first;
        continue;
      }
      const auto fresh = static_cast<int32_t>(ends_.size());
      ends_.push_back(-1);
      trie_.insert(node, byte, {fresh, 0});
      node = fresh;
    }
    if (node != 0) ends_[static_cast<size_t>(node)] = id;
  }

  static void improve(PathNode& node, double score, size_t start, int32_t id) {
    if (node.start < 0 || score > node.score) node = {score, static_cast<int32_t>(start), id};
  }

  void find_path(std::string_view word, std::vector<PathNode>& path) const {
    path.assign(word.size() + 1, PathNode{});
    for (size_t begin = 0; begin < word.size();) {
      const double before = path[begin].score;
      const size_t character = code_point_bytes(word[begin]);
      bool covered = false;  // some token is this one character
      int32_t node = 0;
      for (size_t end = begin; end < word.size();) {
        const auto* edge = trie_.find(node, static_cast<uint8_t>(word[end]));
        if (edge == nullptr) break;
        node = edge->first, ++end;
        const int32_t id = ends_[static_cast<size_t>(node)];
        if (id < 0) continue;
        improve(path[end], before + scores_[static_cast<size_t>(id)], begin, id);
        covered = covered || end - begin == character;
      }
      if (!covered) {
        require<ConfigError>(unknown_ >= 0,
                             "{}: the text has the character '{}', which no token covers, and "
                             "unk_id is not set; set it",
                             where_, word.substr(begin, character));
        improve(path[begin + character], before + unknown_score_, begin, unknown_);
      }
      begin += character;
    }
  }

  // Neighbouring unknown characters are one token, or their bytes.
  void collect(std::string_view word, const std::vector<PathNode>& path,
               std::vector<int32_t>& ids) const {
    for (size_t end = word.size(); end > 0;) {
      auto start = static_cast<size_t>(path[end].start);
      const int32_t id = path[end].id;
      if (id != unknown_) {
        ids.push_back(id), end = start;
        continue;
      }
      while (start > 0 && path[start].id == unknown_)
        start = static_cast<size_t>(path[start].start);
      const std::string_view piece = word.substr(start, end - start);
      int32_t known = tokens_.find(piece);
      if (known >= 0 && !in_text(known)) known = -1;
      if (known < 0 && bytes_)
        for (size_t i = piece.size(); i-- > 0;)
          ids.push_back((*bytes_)[static_cast<uint8_t>(piece[i])]);
      else
        ids.push_back(known >= 0 ? known : unknown_);
      end = start;
    }
    std::reverse(ids.begin(), ids.end());
  }

  std::vector<double> scores_;
  std::vector<bool> in_text_;
  int32_t unknown_;
  double unknown_score_;
  std::string where_;
  PairTable trie_;             // (node, byte) → child
  std::vector<int32_t> ends_;  // by node: the token that ends there, or -1
  std::optional<std::vector<int32_t>> bytes_;
};

}  // namespace

std::unique_ptr<TokenModel> make_unigram(UnigramConfig config, const std::string& where) {
  return std::make_unique<Unigram>(std::move(config), where);
}

}  // namespace veomni
