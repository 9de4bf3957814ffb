#pragma once
// How a tokenizer cuts text into words, which the model then encodes one by one: the
// `pre_tokenizer` of a tokenizer file.

#include <memory>
#include <string_view>

#include "core/tokenizer/component.h"
#include "core/tokenizer/workspace.h"

namespace veomni {

/// Takes pieces of text one after another.
class PieceSink {
 public:
  virtual ~PieceSink() = default;
  /// `first`: the piece starts where the whole text starts. Never empty.
  virtual void take(std::string_view piece, bool first, Workspace& work) = 0;
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Hands the words of `piece` to `sink`, in their order; empty ones are left out.
  virtual void cut(std::string_view piece, bool first, Workspace& work, PieceSink& sink) const = 0;
};

/// ByteLevel, Split, Whitespace, WhitespaceSplit, BertPreTokenizer, Metaspace, Digits, Punctuation,
/// CharDelimiterSplit, Sequence. Null for a JSON null. `buffer` counts the buffers of the workspace
/// in use. Throws ConfigError `where: …` for others and for options it does not know.
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const FileJson& json, const std::string& where,
                                                 size_t& buffer);

}  // namespace veomni
