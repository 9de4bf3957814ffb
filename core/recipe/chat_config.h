#pragma once
// The formats of conversations (alpaca, sharegpt, messages) in a source.

#include <optional>
#include <string>

#include "core/recipe/recipe.h"

namespace veomni {

/// True for the formats whose rows are conversations, shown to the model by a chat template.
bool is_chat_format(const std::string& format);

/// The field of their records that holds the whole conversation.
inline constexpr const char* kConversation = "(conversation)";

/// What the source's text segment says of its conversations.
struct ChatConfig {
  std::string messages;         ///< column of the messages; "" in alpaca, whose rows are messages
  std::string chat_template;    ///< "tokenizer", or the absolute path of a Jinja file
  bool assistant_only = false;  ///< learn what an assistant wrote, not all
  bool truncate = false;        ///< cut what is longer than a pack
};

/// Nothing for other formats. `source` is resolved.
std::optional<ChatConfig> chat_config(const SourceConfig& source);

}  // namespace veomni
