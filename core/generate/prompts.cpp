#include "core/generate/prompts.h"

#include <charconv>

#include "core/data/source_tools.h"
#include "core/data/text.h"
#include "core/error.h"
#include "core/json.h"
#include "core/template/chat_template.h"
#include "core/tokenizer/file_tokenizer.h"

namespace veomni {
namespace {

constexpr size_t kFileBytes = size_t{256} << 20;

std::vector<int64_t> ids_of(const Json& list, const std::string& where) {
  std::vector<int64_t> ids;
  for (const Json& id : list) {
    require<ConfigError>(id.is_number_integer(), "{}: {} is no token id; give integers", where,
                         json_excerpt(id));
    ids.push_back(id.get<int64_t>());
  }
  return ids;
}

Prompt prompt_of(const Json& value, const std::string& where) {
  if (value.is_string()) return {value.get<std::string>(), {}, true, where};
  if (value.is_array()) return {"", ids_of(value, where), false, where};
  if (value.is_object()) {
    require<ConfigError>(
        value.size() == 1 || !(value.contains("prompt") && value.contains("input_ids")),
        "{}: has both \"prompt\" and \"input_ids\"; give one", where);
    if (const auto found = value.find("prompt"); found != value.end() && !found->is_object())
      return prompt_of(*found, where);
    if (const auto found = value.find("input_ids"); found != value.end() && found->is_array())
      return prompt_of(*found, where);
  }
  throw ConfigError(fmt::format(
      "{}: {} is no prompt; give a text, a list of ids, or an object with \"prompt\" or "
      "\"input_ids\"",
      where, json_excerpt(value)));
}

void encode(Prompt& prompt, const PromptEncoding& encoding) {
  require<ConfigError>(encoding.tokenizer != nullptr,
                       "{}: {} has no tokenizer.json and no tokenizer.model to read text with; "
                       "give ids with --tokens",
                       prompt.where, encoding.model);
  try {
    const auto* from_file = dynamic_cast<const FileTokenizer*>(encoding.tokenizer);
    const bool around = encoding.special_tokens && prompt.messages.is_null();
    prompt.ids = around && from_file != nullptr ? from_file->encode_with_special_tokens(prompt.text)
                                                : encoding.tokenizer->encode(prompt.text);
  } catch (const ConfigError& error) {
    throw ConfigError(fmt::format("{}: {}", prompt.where, error.what()));
  }
}

}  // namespace

void check_utf8(const std::string& text, const std::string& where) {
  for (size_t offset = 0; offset < text.size();)
    require<ConfigError>(next_code_point(text, offset) >= 0,
                         "{}: invalid UTF-8 at byte {}; convert the text to UTF-8", where, offset);
}

std::vector<int64_t> parse_ids(const std::string& text, const std::string& where) {
  std::vector<int64_t> ids;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const auto item = trim(std::string_view(text).substr(begin, end - begin));
    int64_t id = -1;
    const auto [stop, error] = std::from_chars(item.data(), item.data() + item.size(), id);
    require<ConfigError>(error == std::errc() && stop == item.data() + item.size() && id >= 0,
                         "{}: '{}' is no token id; give numbers with commas between: 1,2,3", where,
                         shown(item));
    ids.push_back(id);
    begin = end + 1;
  }
  return ids;
}

std::vector<Prompt> read_prompts(const std::string& file) {
  const std::string bytes = read_text_file(file, kFileBytes);
  const bool json = file.ends_with(".jsonl");
  std::vector<Prompt> prompts;
  LineReader lines(bytes);
  for (std::string_view line; lines.next(line);) {
    const std::string where = fmt::format("{}:{}", file, lines.number());
    if (json && trim(line).empty()) continue;
    prompts.push_back(json ? prompt_of(parse_located_json(line, where).value, where)
                           : Prompt{std::string(line), {}, true, where});
    check_utf8(prompts.back().text, where);
  }
  require<ConfigError>(!prompts.empty(), "{}: holds no prompt; give one a line", file);
  return prompts;
}

namespace {

Prompt conversation_of(Json value, const std::string& where) {
  Prompt prompt{.where = where};
  if (value.is_object()) {
    prompt.tools = value.value("tools", Json(nullptr));
    value = value.value("messages", Json(nullptr));
  }
  require<ConfigError>(value.is_array() && !value.empty(),
                       "{}: is no conversation; give a list of messages, or an object with "
                       "\"messages\"",
                       where);
  prompt.messages = std::move(value);
  return prompt;
}

}  // namespace

std::vector<Prompt> read_conversations(const std::string& file) {
  const std::string bytes = read_text_file(file, kFileBytes);
  if (!file.ends_with(".jsonl"))
    return {conversation_of(parse_located_json(bytes, file).value, file)};
  std::vector<Prompt> prompts;
  LineReader lines(bytes);
  for (std::string_view line; lines.next(line);) {
    if (trim(line).empty()) continue;
    const std::string where = fmt::format("{}:{}", file, lines.number());
    prompts.push_back(conversation_of(parse_located_json(line, where).value, where));
  }
  require<ConfigError>(!prompts.empty(), "{}: holds no conversation; give one a line", file);
  return prompts;
}

void render_messages(std::vector<Prompt>& prompts, const std::string& tokenizer_path,
                     const std::string& model) {
  for (auto& prompt : prompts) {
    if (prompt.messages.is_null()) continue;
    require<ConfigError>(!tokenizer_path.empty(),
                         "--messages: {} has no tokenizer with a chat template; give --prompt",
                         model);
    try {
      prompt.text = chat_prompt(tokenizer_path, prompt.messages, prompt.tools);
    } catch (const ConfigError& error) {
      throw ConfigError(fmt::format("{}: {}", prompt.where, error.what()));
    }
  }
}

void encode_prompts(std::vector<Prompt>& prompts, const PromptEncoding& encoding) {
  for (auto& prompt : prompts) {
    if (prompt.is_text) encode(prompt, encoding);
    require<ConfigError>(!prompt.ids.empty(),
                         "{}: the prompt is empty; give at least one character or token",
                         prompt.where);
    for (const int64_t id : prompt.ids)
      require<ConfigError>(id >= 0 && id < encoding.vocab_size,
                           "{}: token {} does not exist; the model has the ids 0 to {}",
                           prompt.where, id, encoding.vocab_size - 1);
    const auto count = static_cast<int64_t>(prompt.ids.size());
    require<ConfigError>(encoding.most_tokens == 0 || count <= encoding.most_tokens,
                         "{}: has {} tokens, but the model reads at most {} and writes into the "
                         "same context; shorten it",
                         prompt.where, count, encoding.most_tokens + 1);
  }
}

}  // namespace veomni
