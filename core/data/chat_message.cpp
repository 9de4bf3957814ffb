#include "core/data/chat_message.h"

#include <algorithm>
#include <vector>

#include "core/data/json_value.h"
#include "core/data/text.h"
#include "core/error.h"

namespace veomni {
namespace {

Json function_call(const Json& call, const std::string& where) {
  const bool wrapped = call.is_object() && call.contains("function");
  const Json& inner = wrapped ? call["function"] : call;
  const bool named = inner.is_object() && inner.contains("name") && inner["name"].is_string();
  require<ConfigError>(named,
                       "{}: a call must be an object with \"name\" and \"arguments\", not {}",
                       where, json_excerpt(call));
  Json function = inner;
  Json& arguments = function["arguments"];
  if (arguments.is_null()) arguments = Json::object();
  if (arguments.is_string()) {
    Json parsed = parse_json(arguments.get<std::string>(), where + ".arguments");
    arguments = std::move(parsed);
  }
  require<ConfigError>(arguments.is_object(), "{}.arguments: must be an object, not {}", where,
                       json_excerpt(arguments));
  Json out = wrapped ? call : Json{{"type", "function"}};
  out["function"] = std::move(function);
  return out;
}

/// The text of one part: LLaMA-Factory writes it under "value", others under "text".
const std::string& part_text(const Json& part, const std::string& where) {
  for (const char* key : {"value", "text", "reasoning"})
    if (part.contains(key) && part[key].is_string()) return part[key].get_ref<const std::string&>();
  throw ConfigError(fmt::format("{}: has no text under \"value\" or \"text\"; add it", where));
}

void add_part(const Json& part, const std::string& where, Json& message, Json& calls) {
  const bool typed = part.is_object() && part.contains("type") && part["type"].is_string();
  require<ConfigError>(typed, "{}: must be an object with \"type\", not {}", where,
                       json_excerpt(part));
  const std::string& type = part["type"].get_ref<const std::string&>();
  if (type == "text") {
    message["content"] = message["content"].get<std::string>() + part_text(part, where);
  } else if (type == "reasoning") {
    Json& reasoning = message["reasoning_content"];
    if (reasoning.is_null()) reasoning = "";
    require<ConfigError>(reasoning.is_string(),
                         "{}: 'reasoning_content' of the message must be a text, not {}", where,
                         json_excerpt(reasoning));
    reasoning = reasoning.get<std::string>() + part_text(part, where);
  } else if (type == "tool_call") {
    for (Json& call : tool_calls(part_text(part, where), where)) calls.push_back(std::move(call));
  } else {
    throw ConfigError(
        fmt::format("{}: parts of type '{}' are not supported; use text, reasoning "
                    "or tool_call",
                    where, shown(type)));
  }
}

std::string role_of(const Json& item, const std::string& where) {
  require<ConfigError>(item.contains("role") && item["role"].is_string(),
                       "{}: has no 'role'; give system, user, assistant or tool", where);
  auto role = item["role"].get<std::string>();
  for (const char* known : {"system", "user", "assistant", "tool", "developer"})
    if (role == known) return role;
  throw ConfigError(fmt::format("{}.role: unknown role '{}'; use system, user, assistant or tool",
                                where, shown(role)));
}

}  // namespace

Json tool_calls(const std::string& text, const std::string& where) {
  const Json given = parse_json(text, where);
  Json calls = Json::array();
  for (const Json& call : given.is_array() ? given : Json::array({given}))
    calls.push_back(function_call(call, where));
  require<ConfigError>(!calls.empty(), "{}: holds no call of a tool; give one", where);
  return calls;
}

Json plain_message(const Json& item, const std::string& where) {
  Json message{{"role", role_of(item, where)}, {"content", ""}}, calls = Json::array();
  for (const auto& [key, value] : item.items())
    if (key != "role" && key != "content" && key != "tool_calls" && key != "loss_weight" &&
        !value.is_null())
      message[key] = value;
  if (item.contains("tool_calls") && !item["tool_calls"].is_null()) {
    const Json& given = item["tool_calls"];
    require<ConfigError>(given.is_array(), "{}.tool_calls: must be a list, not {}", where,
                         json_excerpt(given));
    for (size_t i = 0; i < given.size(); ++i)
      calls.push_back(function_call(given[i], fmt::format("{}.tool_calls[{}]", where, i)));
  }
  const Json content = item.value("content", Json(nullptr));
  if (content.is_array()) {
    for (size_t i = 0; i < content.size(); ++i)
      add_part(content[i], fmt::format("{}.content[{}]", where, i), message, calls);
  } else if (!content.is_null()) {
    require<ConfigError>(content.is_string(),
                         "{}.content: must be a text or a list of parts, not {}", where,
                         json_excerpt(content));
    message["content"] = content;
  } else {
    require<ConfigError>(!calls.empty(), "{}: has no 'content'; add it", where);
  }
  if (!calls.empty()) message["tool_calls"] = std::move(calls);
  return message;
}

void number_calls(Json& messages) {
  std::vector<std::string> waiting;  // ids of calls without a result
  int64_t made = 0;
  for (Json& message : messages) {
    if (message.contains("tool_calls")) {
      waiting.clear();
      for (Json& call : message["tool_calls"]) {
        if (!call.contains("id") || !call["id"].is_string())
          call["id"] = fmt::format("call{:05}", made++ % 100000);
        waiting.push_back(call["id"].get<std::string>());
      }
    }
    if (message["role"] != "tool" || waiting.empty()) continue;
    if (!message.contains("tool_call_id")) message["tool_call_id"] = waiting.front();
    const auto used = std::find(waiting.begin(), waiting.end(), message["tool_call_id"]);
    if (used != waiting.end()) waiting.erase(used);
  }
}

}  // namespace veomni
