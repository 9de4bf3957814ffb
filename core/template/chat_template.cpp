#include "core/template/chat_template.h"

#include <ctime>
#include <filesystem>

#include "core/data/json_value.h"
#include "core/error.h"
#include "core/template/template.h"

namespace veomni {
namespace {

namespace fs = std::filesystem;

constexpr size_t kConfigBytes = size_t{64} << 20;

std::string folder_of(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return path;
  const fs::path parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

/// A special token is its text, or an object with it.
const Json* token_text(const Json& token) {
  if (token.is_string()) return &token;
  if (!token.is_object()) return nullptr;
  const auto content = token.find("content");
  return content != token.end() && content->is_string() ? &*content : nullptr;
}

std::string config_file(const std::string& folder) {
  return (fs::path(folder) / "tokenizer_config.json").string();
}

/// An empty object where there is no such file.
Json tokenizer_config(const std::string& folder) {
  const std::string file = config_file(folder);
  std::error_code error;
  if (!fs::exists(file, error)) return Json::object();
  Json config = parse_json(read_text_file(file, kConfigBytes), file);
  require<ConfigError>(config.is_object(), "{}: is not a JSON object; restore the file", file);
  return config;
}

Json special_tokens_of(const Json& config) {
  Json tokens = Json::object();
  for (const auto& [key, value] : config.items())
    if (key.ends_with("_token"))
      if (const Json* text = token_text(value)) tokens[key] = *text;
  return tokens;
}

// transformers fills the standard name of reasoning from older ones, and drops what is null.
Json plain_message(const Json& message) {
  Json out = Json::object();
  for (const auto& [key, value] : message.items())
    if (!value.is_null()) out[key] = value;
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    if (!out.contains(name)) continue;
    const Json reasoning = out[name];
    if (!out.contains("thinking")) out["thinking"] = reasoning;
    out["reasoning_content"] = reasoning;
    break;
  }
  return out;
}

/// Before anything copies it, which goes as deep as it is nested.
void check_depth(const Json& json, const char* what) {
  std::vector<std::pair<const Json*, size_t>> waiting{{&json, 1}};
  while (!waiting.empty()) {
    const auto [item, depth] = waiting.back();
    waiting.pop_back();
    require<ConfigError>(depth <= 2 * kJsonDepth, "{}: nested deeper than {} levels; flatten it",
                         what, 2 * kJsonDepth);
    if (item->is_structured())
      for (const Json& inner : *item) waiting.emplace_back(&inner, depth + 1);
  }
}

Json plain_messages(const Json& messages) {
  require<ConfigError>(messages.is_array() && !messages.empty(),
                       "messages: must be a list of at least one message");
  Json out = Json::array();
  for (size_t i = 0; i < messages.size(); ++i) {
    const auto role = messages[i].is_object() ? messages[i].find("role") : messages[i].end();
    require<ConfigError>(
        messages[i].is_object() && role != messages[i].end() && role->is_string(),
        "messages[{}]: must be an object with \"role\", not {}; give role and content", i,
        json_excerpt(messages[i]));
    out.push_back(plain_message(messages[i]));
  }
  return out;
}

Json checked_tools(const Json& tools) {
  if (tools.is_null()) return nullptr;
  require<ConfigError>(tools.is_array(), "tools: must be a list of objects, not {}",
                       json_excerpt(tools));
  for (const Json& tool : tools)
    require<ConfigError>(tool.is_object(), "tools: must be a list of objects, not {}",
                         json_excerpt(tools));
  return tools;
}

}  // namespace

ChatTemplate::ChatTemplate(const std::string& path) {
  const std::string folder = folder_of(path);
  if (path.ends_with(".jinja")) {
    read_config(folder, false);
    add("default", read_text_file(path, jinja::kTemplateBytes), path);
    return;
  }
  const fs::path file = fs::path(folder) / "chat_template.jinja";
  std::error_code error;
  const bool own_file = fs::exists(file, error);
  read_config(folder, !own_file);
  if (own_file) add("default", read_text_file(file.string(), jinja::kTemplateBytes), file.string());
  require<ConfigError>(!templates_.empty(),
                       "{}: has no chat template (chat_template.jinja, or \"chat_template\" in "
                       "tokenizer_config.json); put one there, or name a .jinja file",
                       folder);
}

ChatTemplate::ChatTemplate(const std::string& path, const std::string& tokenizer) {
  read_config(folder_of(tokenizer), false);
  add("default", read_text_file(path, jinja::kTemplateBytes), path);
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

void ChatTemplate::add(const std::string& name, const std::string& text, const std::string& where) {
  templates_.emplace_back(name, std::make_unique<jinja::Template>(where, text));
}

void ChatTemplate::read_config(const std::string& folder, bool take_template) {
  const Json config = tokenizer_config(folder);
  special_tokens_ = special_tokens_of(config);
  for (const auto& item : special_tokens_.items()) added_tokens_.push_back(item.value());
  if (const auto added = config.find("added_tokens_decoder");
      added != config.end() && added->is_object())
    for (const auto& item : added->items())
      if (const Json* text = token_text(item.value())) added_tokens_.push_back(*text);
  const auto found = config.find("chat_template");
  if (!take_template || found == config.end() || found->is_null()) return;
  const std::string where = config_file(folder) + ": chat_template";
  if (found->is_string()) return add("default", found->get<std::string>(), where);
  require<ConfigError>(found->is_array(), "{}: must be a text or a list of named texts", where);
  for (const Json& item : *found) {
    const bool named = item.is_object() && item.contains("name") && item["name"].is_string() &&
                       item.contains("template") && item["template"].is_string();
    require<ConfigError>(named, "{}: every item needs \"name\" and \"template\"", where);
    const auto name = item["name"].get<std::string>();
    if (name == "default" || name == "tool_use")
      add(name, item["template"].get<std::string>(), where + "." + name);
  }
}

const jinja::Template& ChatTemplate::chosen(bool tools) const {
  const jinja::Template* found = nullptr;
  for (const auto& [name, made] : templates_) {
    if (name == "default" && found == nullptr) found = made.get();
    if (name == "tool_use" && tools) found = made.get();
  }
  require<ConfigError>(found != nullptr, "chat_template: has no template named 'default'; add one");
  return *found;
}

bool ChatTemplate::has_generation_blocks(bool tools) const {
  return chosen(tools).has_generation();
}

std::string ChatTemplate::render(const Json& messages, const ChatOptions& options) const {
  std::vector<ChatSpan> spans;
  bool tracked = false;
  return render(messages, options, spans, tracked);
}

std::string ChatTemplate::render(const Json& messages, const ChatOptions& options,
                                 std::vector<ChatSpan>& generation, bool& tracked) const {
  check_depth(messages, "messages");
  check_depth(options.tools, "tools");
  Json variables = special_tokens_;
  for (const auto& [name, value] : options.variables.items()) variables[name] = value;
  variables["messages"] = plain_messages(messages);
  variables["tools"] = checked_tools(options.tools);
  variables["documents"] = nullptr;
  variables["add_generation_prompt"] = options.add_generation_prompt;
  const jinja::Template& used = chosen(!options.tools.is_null());
  auto output = used.render(variables, std::time(nullptr));
  generation.clear();
  for (const auto& [begin, end] : output.generation) generation.push_back({begin, end});
  tracked = used.has_generation() && !output.lost_generation;
  return std::move(output.text);
}

Json read_special_tokens(const std::string& tokenizer_path) {
  return special_tokens_of(tokenizer_config(folder_of(tokenizer_path)));
}

std::string chat_prompt(const std::string& tokenizer_path, const Json& messages,
                        const Json& tools) {
  const ChatTemplate chat(tokenizer_path);
  return chat.render(messages, {.tools = tools, .add_generation_prompt = true});
}

}  // namespace veomni
