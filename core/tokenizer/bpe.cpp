// Byte pair encoding (Sennrich, Haddow & Birch 2016): a word's characters are joined pair by pair,
// the pair of the lowest rank first and, of equal ranks, the leftmost.
#include <algorithm>
#include <array>

#include "core/data/text.h"
#include "core/error.h"
#include "core/tokenizer/pair_table.h"
#include "core/tokenizer/token_model.h"
#include "core/tokenizer/unicode.h"

namespace veomni {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";  // ▁
constexpr size_t kFewSymbols = 32;  // up to here, looking at all pairs beats a heap

class Bpe : public TokenModel {
 public:
  Bpe(BpeConfig config, const std::string& where)
      : TokenModel(std::move(config.tokens)),
        prefix_(std::move(config.continuing_prefix)),
        suffix_(std::move(config.end_of_word_suffix)),
        merges_(config.merges.size()),
        fuse_unknown_(config.fuse_unknown),
        ignore_merges_(config.ignore_merges) {
    for (const auto& merge : config.merges)
      merges_.insert(merge.left, merge.right, {merge.rank, merge.joined});
    if (!config.unknown.empty()) {
      unknown_ = tokens_.find(config.unknown);
      require<ConfigError>(unknown_ >= 0, "{}: unk_token '{}' is not in the vocabulary; add it",
                           where, shown(config.unknown));
    }
    if (config.byte_fallback) bytes_ = byte_tokens(tokens_);
    for (int32_t code = 0; code < kTabled; ++code) {
      std::string text;
      append_utf8(code, text);
      single_[static_cast<size_t>(code)] = tokens_.find(text);
    }
    cuts_at_metaspace_ = prefix_.empty() && suffix_.empty() && !ignore_merges_ &&
                         tokens_.find(kMetaspace) >= 0 &&
                         std::none_of(config.merges.begin(), config.merges.end(),
                                      [&](const auto& merge) { return crosses_metaspace(merge); });
  }

  void encode(std::string_view word, Workspace& work, std::vector<int64_t>& out) const override {
    if (cuts_at_metaspace_) {
      // No merge reaches over the start of a ▁: what lies between is encoded on its own.
      for (size_t at = metaspace_after_text(word); at < word.size();
           at = metaspace_after_text(word)) {
        encode_word(word.substr(0, at), work, out);
        word.remove_prefix(at);
      }
    }
    encode_word(word, work, out);
  }

 private:
  static constexpr int32_t kTabled = 0x200;  // code points whose ids stand in an array

  bool crosses_metaspace(const BpeConfig::Merge& merge) const {
    const std::string_view left = *tokens_.token(merge.left), right = *tokens_.token(merge.right);
    return right.starts_with(kMetaspace) && !left.ends_with(kMetaspace);
  }

  static size_t metaspace_after_text(std::string_view word) {
    size_t at = word.find(kMetaspace, 1);
    while (at != std::string_view::npos && at >= 3 && word.substr(at - 3, 3) == kMetaspace)
      at = word.find(kMetaspace, at + 3);
    return std::min(at, word.size());
  }

  void encode_word(std::string_view word, Workspace& work, std::vector<int64_t>& out) const {
    append_cached(word, work, out, [&](std::vector<int32_t>& ids) {
      if (const int32_t whole = ignore_merges_ ? tokens_.find(word) : -1; whole >= 0)
        return ids.push_back(whole);
      start(word, work.symbols);
      work.symbols.size() <= kFewSymbols ? merge_few(work.symbols) : merge_many(work);
      for (const Symbol& symbol : work.symbols)
        if (symbol.alive) ids.push_back(symbol.id);
    });
  }

  int32_t character_id(std::string_view word, size_t begin, size_t end, int32_t code) const {
    const bool first = begin == 0, last = end == word.size();
    const bool plain = (first || prefix_.empty()) && (!last || suffix_.empty());
    if (plain && code < kTabled) return single_[static_cast<size_t>(code)];
    if (plain) return tokens_.find(word.substr(begin, end - begin));
    std::string token = first ? "" : prefix_;
    token += word.substr(begin, end - begin);
    if (last) token += suffix_;
    return tokens_.find(token);
  }

  // The characters of a word. Unknown ones become bytes where there is a token for each, else the
  // unknown token; neighbours share one when fuse_unk is set.
  void start(std::string_view word, std::vector<Symbol>& symbols) const {
    symbols.clear();
    bool pending = false;  // an unknown token that waits for whether the next is unknown too
    const auto put = [&](int32_t id) { symbols.push_back({.id = id}); };
    for (size_t offset = 0; offset < word.size();) {
      const size_t begin = offset;
      const int32_t code = read_code_point(word, offset);
      if (const int32_t id = character_id(word, begin, offset, code); id >= 0) {
        if (pending) put(unknown_), pending = false;
        put(id);
      } else if (bytes_) {
        // The unknown token stays behind the bytes, as in the reference.
        if (begin > 0)
          for (const char c : prefix_) put((*bytes_)[static_cast<uint8_t>(c)]);
        for (const char c : word.substr(begin, offset - begin))
          put((*bytes_)[static_cast<uint8_t>(c)]);
        if (offset == word.size())
          for (const char c : suffix_) put((*bytes_)[static_cast<uint8_t>(c)]);
      } else if (unknown_ >= 0) {
        if (pending && !fuse_unknown_) put(unknown_);
        pending = true;
      }
    }
    if (pending) put(unknown_);
  }

  void merge_few(std::vector<Symbol>& symbols) const {
    std::array<const PairTable::Value*, kFewSymbols> found{};  // of each symbol with the next one
    size_t count = symbols.size();
    for (size_t i = 0; i + 1 < count; ++i)
      found[i] = merges_.find(symbols[i].id, symbols[i + 1].id);
    while (count > 1) {
      size_t best = count;
      for (size_t i = 0; i + 1 < count; ++i)
        if (found[i] != nullptr && (best == count || found[i]->first < found[best]->first))
          best = i;
      if (best == count) break;
      symbols[best].id = found[best]->second;
      symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
      std::copy(found.begin() + best + 1, found.begin() + count, found.begin() + best);
      --count;
      if (best > 0) found[best - 1] = merges_.find(symbols[best - 1].id, symbols[best].id);
      if (best + 1 < count) found[best] = merges_.find(symbols[best].id, symbols[best + 1].id);
    }
  }

  void merge_many(Workspace& work) const {
    auto& symbols = work.symbols;
    auto& heap = work.merges;
    heap.clear();
    const auto later = [](const PossibleMerge& a, const PossibleMerge& b) {
      return a.rank != b.rank ? a.rank > b.rank : a.place > b.place;
    };
    const auto consider = [&](int32_t place) {
      if (place < 0 || symbols[place].next < 0) return;
      const auto* found = merges_.find(symbols[place].id, symbols[symbols[place].next].id);
      if (found == nullptr) return;
      heap.push_back({found->first, place, found->second});
      std::push_heap(heap.begin(), heap.end(), later);
    };
    const auto count = static_cast<int32_t>(symbols.size());
    for (int32_t i = 0; i < count; ++i)
      symbols[i].previous = i - 1, symbols[i].next = i + 1 < count ? i + 1 : -1;
    for (int32_t i = 0; i < count; ++i) consider(i);
    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end(), later);
      const PossibleMerge merge = heap.back();
      heap.pop_back();
      Symbol& left = symbols[merge.place];
      if (!left.alive || left.next < 0) continue;
      Symbol& right = symbols[left.next];
      const auto* found = merges_.find(left.id, right.id);
      if (found == nullptr || found->second != merge.id) continue;  // one of the two has changed
      left.id = merge.id;
      right.alive = false;
      left.next = right.next;
      if (left.next >= 0) symbols[left.next].previous = merge.place;
      consider(left.previous);
      consider(merge.place);
    }
  }

  std::string prefix_, suffix_;
  PairTable merges_;
  int32_t unknown_ = -1;
  bool fuse_unknown_, ignore_merges_, cuts_at_metaspace_ = false;
  std::optional<std::vector<int32_t>> bytes_;
  std::array<int32_t, kTabled> single_{};
};

}  // namespace

std::unique_ptr<TokenModel> make_bpe(BpeConfig config, const std::string& where) {
  return std::make_unique<Bpe>(std::move(config), where);
}

}  // namespace veomni
