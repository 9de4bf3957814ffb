#pragma once
// From tokens back to text: the `decoder` of a tokenizer file.

#include <memory>
#include <string>
#include <vector>

#include "core/tokenizer/component.h"
#include "core/tokenizer/workspace.h"

namespace veomni {

class TokenDecoder {
 public:
  virtual ~TokenDecoder() = default;
  /// Changes the tokens so that, one after another, they are the text.
  virtual void apply(std::vector<std::string>& tokens, Workspace& work) const = 0;
};

/// ByteLevel, Metaspace, WordPiece, BPEDecoder, Replace, ByteFallback, Fuse, Strip, Sequence. Null
/// for a JSON null: the tokens are joined by spaces. ByteLevel gives the bytes as they are, also
/// where they are no UTF-8. Throws ConfigError `where: …` for what it does not know.
std::unique_ptr<TokenDecoder> make_token_decoder(const FileJson& json, const std::string& where);

}  // namespace veomni
