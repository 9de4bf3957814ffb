#include "core/recipe/chat_config.h"

namespace veomni {

bool is_chat_format(const std::string& format) {
  return format == "alpaca" || format == "sharegpt" || format == "messages";
}

std::optional<ChatConfig> chat_config(const SourceConfig& source) {
  if (!is_chat_format(source.format)) return std::nullopt;
  ChatConfig config;
  config.truncate = source.keys.value("truncate", false);
  for (const Json& segment : source.keys.at("sample")) {
    if (segment.at("part") != "text") continue;
    config.messages = segment.value("messages", std::string());
    config.chat_template = segment.value("template", std::string("tokenizer"));
    config.assistant_only = segment.at("learn").is_array();
  }
  return config;
}

}  // namespace veomni
