#pragma once
// What a tokenizer does to the text before it is cut: the `normalizer` of a tokenizer file.

#include <memory>
#include <string>

#include "core/tokenizer/component.h"
#include "core/tokenizer/workspace.h"

namespace veomni {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// Changes `text`, which is and stays valid UTF-8.
  virtual void apply(std::string& text, Workspace& work) const = 0;
};

/// NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, BertNormalizer, Replace, Prepend, Strip,
/// ByteLevel, Precompiled, Nmt, Sequence. Null for a JSON null. Throws ConfigError `where: …` for others and for
/// options it does not know.
std::unique_ptr<Normalizer> make_normalizer(const FileJson& json, const std::string& where);

/// SentencePiece's own normalization by its rules (core/tokenizer/charsmap.h), then `rest`. Throws ConfigError `where: …`.
std::unique_ptr<Normalizer> make_charsmap_normalizer(std::string_view rules,
                                                     const std::string& where,
                                                     std::unique_ptr<Normalizer> rest);

/// The pattern of Replace and Split: {"String": "…"} or {"Regex": "…"}. A String may be empty, and
/// then nothing matches: null.
std::unique_ptr<Regex> make_pattern(Component& component, const std::string& key);

/// `text` with `content` in the place of each match.
void replace_all(std::string& text, const Regex& pattern, const std::string& content,
                 RegexScratch& scratch);

}  // namespace veomni
