#include "core/data/chat_encoder.h"

#include "core/error.h"
#include "core/template/chat_turns.h"
#include "core/tokenizer/file_tokenizer.h"

namespace veomni {
namespace {

ChatTemplate open_template(const std::string& name, const std::string& tokenizer) {
  return name == "tokenizer" ? ChatTemplate(tokenizer) : ChatTemplate(name, tokenizer);
}

/// Ids of the text, and where the marks fall among them.
std::vector<int64_t> encode_marked(const Tokenizer& tokenizer, const std::string& text,
                                   const std::vector<size_t>& marks,
                                   std::vector<TokenMark>& places) {
  if (const auto* file = dynamic_cast<const FileTokenizer*>(&tokenizer))
    return file->encode(text, marks, places);
  places.clear();  // an id for each byte
  for (const size_t mark : marks) places.push_back({mark, mark});
  return tokenizer.encode(text);
}

}  // namespace

ChatEncoder::ChatEncoder(const ChatConfig& config, const Tokenizer& tokenizer,
                         const std::string& path)
    : tokenizer_(tokenizer),
      template_(open_template(config.chat_template, path)),
      assistant_only_(config.assistant_only) {}

ChatTokens ChatEncoder::encode(const Json& conversation) const {
  ChatTokens tokens;
  if (!assistant_only_) {
    tokens.ids = tokenizer_.encode(
        template_.render(conversation["messages"], {.tools = conversation["tools"]}));
    tokens.labels = tokens.ids;
    return tokens;
  }
  std::vector<bool> learned;
  if (conversation["learned"].is_array())
    for (const Json& flag : conversation["learned"]) learned.push_back(flag.get<bool>());
  const ChatTurns turns =
      render_turns(template_, conversation["messages"], conversation["tools"], learned);
  std::vector<size_t> marks;
  for (const ChatSpan& span : turns.spans) {
    marks.push_back(span.begin);
    marks.push_back(span.end);
  }
  std::vector<TokenMark> places;
  tokens.ids = encode_marked(tokenizer_, turns.text, marks, places);
  tokens.labels.assign(tokens.ids.size(), kIgnore);
  for (size_t i = 0; i + 1 < places.size(); i += 2)
    for (size_t t = places[i].from; t < places[i + 1].to; ++t) tokens.labels[t] = tokens.ids[t];
  return tokens;
}

}  // namespace veomni
