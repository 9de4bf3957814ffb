#include "core/tokenizer/component.h"

#include "core/data/text.h"
#include "core/tokenizer/unicode.h"

namespace veomni {

Component::Component(const FileJson& json, std::string where)
    : json_(json), where_(std::move(where)) {
  if (!json_.is_object()) refuse("is no object", "give one");
  seen_.insert("type");
}

bool Component::has(const std::string& key) const {
  const auto found = json_.find(key);
  return found != json_.end() && !found->is_null();
}

bool Component::flag(const std::string& key, bool value_if_absent) {
  seen_.insert(key);
  if (!has(key)) return value_if_absent;
  if (!json_[key].is_boolean()) refuse(key + " is no boolean", "give true or false");
  return json_[key].get<bool>();
}

std::string Component::text(const std::string& key) {
  const FileJson& value = any(key);
  if (!value.is_string()) refuse(key + " is no string", "give one");
  return value.get<std::string>();
}

std::string Component::text(const std::string& key, const std::string& value_if_absent) {
  seen_.insert(key);
  return has(key) ? text(key) : value_if_absent;
}

int64_t Component::integer(const std::string& key, int64_t least, int64_t most) {
  const FileJson& value = any(key);
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX) &&
                    value.get<int64_t>() >= least && value.get<int64_t>() <= most;
  if (!fits) refuse(fmt::format("{} is no integer from {} to {}", key, least, most), "give one");
  return value.get<int64_t>();
}

const FileJson& Component::array(const std::string& key) {
  const FileJson& value = any(key);
  if (!value.is_array()) refuse(key + " is no list", "give one");
  return value;
}

const FileJson& Component::any(const std::string& key) {
  seen_.insert(key);
  if (!has(key)) refuse(fmt::format("'{}' is missing", key), "add it");
  return json_[key];
}

void Component::finish() const {
  for (const auto& [key, value] : json_.items())
    if (seen_.count(key) == 0)
      refuse(fmt::format("unknown option '{}'", shown(key)),
             "remove it, or use a tokenizer without it");
}

void Component::refuse(const std::string& what, const std::string& what_to_do) const {
  throw ConfigError(fmt::format("{}: {}; {}", where_, what, what_to_do));
}

void Component::refuse_type(const std::string& kind, const std::string& type,
                            const std::string& known) const {
  refuse(fmt::format("unknown {} '{}'", kind, shown(type)), "this version has: " + known);
}

std::string component_type(const FileJson& json, const std::string& where) {
  Component component(json, where);
  return component.text("type");
}

std::string one_character(Component& component, const std::string& key,
                          const std::string& fallback) {
  std::string text = component.text(key, fallback);
  if (text.empty() || code_point_bytes(text[0]) != text.size())
    component.refuse(fmt::format("{} '{}' is not one character", key, shown(text)), "give one");
  return text;
}

}  // namespace veomni
