#pragma once
// SentencePiece's compiled normalization rules (`precompiled_charsmap`): which pieces of text are replaced by which.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace veomni {

/// A double array trie over UTF-8 bytes and the texts that its leaves point to. Format: google/sentencepiece,
/// src/normalizer.cc (u32 bytes of the trie, the trie, texts that end in 0) and darts-clone's units.
class Charsmap {
 public:
  /// Throws ConfigError `where: …` for bytes that are no such map.
  Charsmap(std::string_view bytes, const std::string& where);

  struct Match {
    size_t length = 0;  ///< bytes of the text; 0: no rule
    std::string_view replacement;
  };
  /// The rule for the shortest, or for the longest, beginning of `text` that has one.
  Match shortest(std::string_view text) const { return find(text, false); }
  Match longest(std::string_view text) const { return find(text, true); }

 private:
  Match find(std::string_view text, bool longest) const;

  std::vector<uint32_t> units_;
  std::string texts_;
};

/// The bytes that base64 text stands for (RFC 4648). Throws ConfigError `where: …`.
std::string decode_base64(std::string_view text, const std::string& where);

/// The text as SentencePiece normalizes it: at each place the longest rule, else the character.
void apply_charsmap(const Charsmap& map, std::string& text);

/// The text as the Python package `tokenizers` does (its crate spm_precompiled): a grapheme of less than 6 bytes becomes
/// what its shortest beginning with a rule becomes; else its characters one by one.
void apply_charsmap_to_graphemes(const Charsmap& map, std::string& text);

}  // namespace veomni
