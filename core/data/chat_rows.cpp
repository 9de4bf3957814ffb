#include "core/data/chat_rows.h"

#include <algorithm>

#include "core/data/chat_message.h"
#include "core/data/json_value.h"
#include "core/data/text.h"
#include "core/error.h"
#include "core/recipe/chat_config.h"

namespace veomni {
namespace {

const Json* present(const Json& row, const std::string& name) {
  const auto found = row.find(name);
  return found == row.end() || found->is_null() ? nullptr : &*found;
}

std::string text_column(const Json& row, const std::string& name, bool required) {
  const Json* value = present(row, name);
  if (value == nullptr && !required) return "";
  require<ConfigError>(value != nullptr,
                       "has no column '{}'; add it, or name another in \"columns\"", name);
  require<ConfigError>(value->is_string(), "{}: must be a text, not {}", name,
                       json_excerpt(*value));
  return value->get<std::string>();
}

Json message(const char* role, const std::string& content) {
  return {{"role", role}, {"content", content}};
}

Json tools_column(const Json& row, const std::string& name) {
  const Json* given = present(row, name);
  if (given == nullptr) return nullptr;
  const auto* text = given->get_ptr<const std::string*>();
  if (text != nullptr && text->empty()) return nullptr;
  Json tools = text != nullptr ? parse_json(*text, name) : *given;
  require<ConfigError>(tools.is_array(), "{}: must be a list of tools, or its JSON text, not {}",
                       name, json_excerpt(*given));
  if (tools.empty()) return nullptr;
  for (Json& tool : tools) {
    require<ConfigError>(tool.is_object(), "{}: a tool must be an object, not {}", name,
                         json_excerpt(tool));
    if (tool.contains("name") && !tool.contains("function"))
      tool = Json{{"type", "function"}, {"function", tool}};
  }
  return tools;
}

Json alpaca(const Json& row, const Json& columns) {
  const auto name = [&](const char* key) { return columns.at(key).get<std::string>(); };
  Json messages = Json::array();
  const std::string system = text_column(row, name("system"), false);
  if (!system.empty()) messages.push_back(message("system", system));
  if (const Json* history = present(row, name("history"))) {
    const auto is_pair = [](const Json& pair) {
      return pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_string();
    };
    require<ConfigError>(
        history->is_array() && std::all_of(history->begin(), history->end(), is_pair),
        "{}: must be a list of pairs of texts, not {}", name("history"), json_excerpt(*history));
    for (const Json& pair : *history) {
      messages.push_back(message("user", pair[0].get<std::string>()));
      messages.push_back(message("assistant", pair[1].get<std::string>()));
    }
  }
  std::string prompt = text_column(row, name("prompt"), true);
  const std::string query = text_column(row, name("query"), false);
  if (!query.empty()) prompt += (prompt.empty() ? "" : "\n") + query;
  messages.push_back(message("user", prompt));
  messages.push_back(message("assistant", text_column(row, name("response"), true)));
  return {{"messages", messages}, {"tools", nullptr}, {"learned", nullptr}};
}

const Json& message_list(const Json& row, const std::string& name) {
  const Json* list = present(row, name);
  require<ConfigError>(list != nullptr,
                       "has no column '{}'; add it, or name another in \"messages\" of the segment",
                       name);
  require<ConfigError>(list->is_array() && !list->empty(),
                       "{}: must be a list of at least one message, not {}", name,
                       json_excerpt(*list));
  for (size_t i = 0; i < list->size(); ++i)
    require<ConfigError>((*list)[i].is_object(), "{}[{}]: must be an object, not {}", name, i,
                         json_excerpt((*list)[i]));
  return *list;
}

/// A key of a message that must hold a text.
const std::string& text_key(const Json& item, const std::string& key, const std::string& where) {
  const Json* value = present(item, key);
  require<ConfigError>(value != nullptr, "{}: has no '{}'; add it, or name another in \"tags\"",
                       where, key);
  require<ConfigError>(value->is_string(), "{}.{}: must be a text, not {}", where, key,
                       json_excerpt(*value));
  return value->get_ref<const std::string&>();
}

Json sharegpt(const Json& row, const Json& keys, const std::string& column) {
  const Json &tags = keys.at("tags"), &columns = keys.at("columns");
  const auto tag = [&](const char* name) { return tags.at(name).get<std::string>(); };
  Json messages = Json::array();
  const Json& list = message_list(row, column);
  const std::string system = text_column(row, columns.at("system").get<std::string>(), false);
  if (!system.empty()) messages.push_back(message("system", system));
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string where = fmt::format("{}[{}]", column, i);
    const std::string& role = text_key(list[i], tag("role_tag"), where);
    const std::string& content = text_key(list[i], tag("content_tag"), where);
    if (role == tag("user_tag"))
      messages.push_back(message("user", content));
    else if (role == tag("assistant_tag"))
      messages.push_back(message("assistant", content));
    else if (role == tag("system_tag"))
      messages.push_back(message("system", content));
    else if (role == tag("observation_tag"))
      messages.push_back(message("tool", content));
    else if (role == tag("function_tag"))
      messages.push_back(
          {{"role", "assistant"}, {"content", ""}, {"tool_calls", tool_calls(content, where)}});
    else
      throw ConfigError(fmt::format(
          "{}.{}: unknown role '{}'; use '{}', '{}', '{}', '{}' or '{}', or name yours in \"tags\"",
          where, tag("role_tag"), shown(role), tag("user_tag"), tag("assistant_tag"),
          tag("function_tag"), tag("observation_tag"), tag("system_tag")));
  }
  number_calls(messages);
  return {{"messages", messages},
          {"tools", tools_column(row, columns.at("tools").get<std::string>())},
          {"learned", nullptr}};
}

/// Whether the turn is learned, as far as its loss_weight says.
bool learned(const Json& item, bool assistant, const std::string& where) {
  const Json* weight = present(item, "loss_weight");
  if (weight == nullptr) return assistant;
  require<ConfigError>(*weight == 0 || *weight == 1,
                       "{}.loss_weight: is {}; only 0 (not learned) and 1 are supported", where,
                       json_excerpt(*weight));
  require<ConfigError>(*weight == 0 || assistant,
                       "{}.loss_weight: is 1, but only assistant turns can be learned; give 0",
                       where);
  return *weight == 1;
}

Json plain_messages(const Json& row, const Json& columns, const std::string& column) {
  Json messages = Json::array(), flags = Json::array();
  bool weighted = false;
  const Json& list = message_list(row, column);
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string where = fmt::format("{}[{}]", column, i);
    messages.push_back(plain_message(list[i], where));
    weighted = weighted || list[i].contains("loss_weight");
    flags.push_back(learned(list[i], messages.back()["role"] == "assistant", where));
  }
  number_calls(messages);
  return {{"messages", messages},
          {"tools", tools_column(row, columns.at("tools").get<std::string>())},
          {"learned", weighted ? flags : Json(nullptr)}};
}

}  // namespace

Json to_conversation(const Json& row, const SourceConfig& config) {
  const std::string column = chat_config(config).value().messages;
  if (config.format == "alpaca") return alpaca(row, config.keys.at("columns"));
  if (config.format == "sharegpt") return sharegpt(row, config.keys, column);
  return plain_messages(row, config.keys.at("columns"), column);
}

}  // namespace veomni
