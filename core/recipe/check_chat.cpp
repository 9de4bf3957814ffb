// Formats of conversations: alpaca, sharegpt, messages.
#include <algorithm>

#include "core/error.h"
#include "core/recipe/chat_config.h"
#include "core/recipe/checks.h"

namespace veomni {
namespace {

/// Keys of a segment that only conversations have.
void check_elsewhere(const Json& segment, const std::string& format, const Path& path,
                     const Document& document) {
  for (const char* key : {"messages", "template"})
    if (segment.contains(key))
      document.fail_key(child(path, key),
                        fmt::format("has no effect on this segment of format '{}'; it is for text "
                                    "of the formats alpaca, sharegpt and messages",
                                    format));
  if (segment["learn"].is_array())
    document.fail_value(child(path, "learn"),
                        fmt::format("roles are known in the text of the formats alpaca, sharegpt "
                                    "and messages, not in this segment of '{}'; give true or false",
                                    format));
}

void check_conversation(const Recipe& recipe, const SourceConfig& source, const Json& segment,
                        const Path& path, const Document& document) {
  if (segment.contains("field"))
    document.fail_key(
        child(path, "field"),
        fmt::format("has no effect in format '{}'; {}", source.format,
                    source.format == "alpaca" ? "name the columns in \"columns\" of the source"
                                              : "name the column of the messages in \"messages\""));
  if (source.format == "alpaca" && segment.contains("messages"))
    document.fail_key(child(path, "messages"),
                      "has no effect in format 'alpaca'; name the columns in \"columns\" of the "
                      "source");
  if (recipe.tokenizer == "characters")
    document.fail_value({"tokenizer"},
                        "\"characters\" is made of the data's texts, but a chat template adds "
                        "others; give the path of a tokenizer, or \"bytes\"");
  if (recipe.tokenizer == "bytes" && segment["template"] == "tokenizer")
    document.fail_value(path,
                        "the tokenizer \"bytes\" has no chat template; give \"template\" the path "
                        "of a Jinja file");
}

}  // namespace

void check_conversations(const Recipe& recipe, const SourceConfig& source, const Path& path,
                         const Document& document) {
  const Json& sample = source.keys["sample"];
  int64_t conversations = 0;
  for (size_t i = 0; i < sample.size(); ++i) {
    const Path here = child(child(path, "sample"), std::to_string(i));
    if (!is_chat_format(source.format) || sample[i]["part"] != "text") {
      check_elsewhere(sample[i], source.format, here, document);
    } else if (++conversations > 1) {
      document.fail_value(here, "a row holds one conversation; give one text segment");
    } else {
      check_conversation(recipe, source, sample[i], here, document);
    }
  }
  if (is_chat_format(source.format) && conversations == 0)
    document.fail_value(
        child(path, "sample"),
        fmt::format("format '{}' needs a text segment for the conversation", source.format));
}

}  // namespace veomni
