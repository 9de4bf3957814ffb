#pragma once
// Conversations as ids and labels.

#include <cstdint>
#include <string>
#include <vector>

#include "core/data/sample.h"
#include "core/recipe/chat_config.h"
#include "core/template/chat_template.h"

namespace veomni {

struct ChatTokens {
  std::vector<int64_t> ids;
  std::vector<int64_t>
      labels;  ///< aligned with ids: the id itself where it is learned, else kIgnore
};

class ChatEncoder {
 public:
  /// The template that `config` names. `tokenizer` must outlive the encoder; `path` is the
  /// recipe's `tokenizer`. Throws ConfigError when there is no template or it is not supported.
  ChatEncoder(const ChatConfig& config, const Tokenizer& tokenizer, const std::string& path);

  /// `conversation` is as to_conversation gives it. The ids are those of the whole rendering, with
  /// no further special tokens; learned are the tokens that hold a byte of an assistant's turn or
  /// of the token that ends it. Thread-safe. Throws ConfigError when the template refuses it.
  ChatTokens encode(const Json& conversation) const;

 private:
  const Tokenizer& tokenizer_;
  ChatTemplate template_;
  bool assistant_only_;
};

}  // namespace veomni
