#include "core/recipe/document.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/error.h"
#include "core/suggest.h"

namespace veomni {

namespace {

/// Keys and values of the file stand in messages: what would move the terminal's cursor is shown by its number.
std::string on_one_line(const std::string& message) {
  std::string line;
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    line += byte < 0x20 || byte == 0x7F ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return line;
}

std::string pointer_of(const Path& path) {
  std::string pointer;
  for (const std::string& step : path) pointer = json_pointer_child(pointer, step);
  return pointer;
}

/// The next step of a dotted path inside `object`: an existing key, dots included, else up to the
/// next dot.
std::string next_key(const Json& object, const std::string& rest) {
  std::string longest;
  for (const auto& [key, value] : object.items()) {
    const bool fits = rest.compare(0, key.size(), key) == 0 &&
                      (rest.size() == key.size() || rest[key.size()] == '.');
    if (fits && key.size() > longest.size()) longest = key;
  }
  return longest.empty() ? rest.substr(0, rest.find('.')) : longest;
}

/// The index that a step names in an array: a number, or the "name" of an item.
std::optional<size_t> item_index(const Json& array, const std::string& step) {
  size_t index = 0;
  const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
  if (error == std::errc() && end == step.data() + step.size()) {
    return index < array.size() ? std::optional(index) : std::nullopt;
  }
  for (size_t i = 0; i < array.size(); ++i) {
    if (array[i].is_object() && array[i].contains("name") && array[i]["name"] == step) return i;
  }
  return std::nullopt;
}

std::vector<std::string> item_names(const Json& array) {
  std::vector<std::string> names;
  for (size_t i = 0; i < array.size(); ++i) {
    const Json& item = array[i];
    const bool named = item.is_object() && item.contains("name") && item["name"].is_string();
    names.push_back(named ? item["name"].get<std::string>() : std::to_string(i));
  }
  return names;
}

/// JSON where the text is JSON, else the text itself. What starts like JSON's {, [ or " must be
/// JSON.
Json override_value(const std::string& text, const std::string& origin) {
  const bool structured =
      !text.empty() && std::string_view("{[\"").find(text[0]) != std::string_view::npos;
  if (structured) return parse_located_json(text, origin).value;
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? Json(text) : value;
}

template <class Map>
void erase_below(Map& entries, const std::string& pointer) {
  std::erase_if(entries, [&](const auto& entry) { return entry.first.starts_with(pointer + "/"); });
}

}  // namespace

std::string dotted(const Path& path) { return fmt::format("{}", fmt::join(path, ".")); }

Path child(const Path& path, const std::string& step) {
  Path longer = path;
  longer.push_back(step);
  return longer;
}

Document::Document(std::string_view text, const std::string& name,
                   const std::vector<std::string>& overrides)
    : name_(name), json_(parse_located_json(text, name)) {
  require<ConfigError>(json_.value.is_object(),
                       "{}:1:1: a recipe is a JSON object; start it with {{", name);
  for (const std::string& argument : overrides) apply(argument);
}

void Document::apply(const std::string& argument) {
  const size_t equals = argument.find('=');
  const std::string origin = fmt::format("argument '{}'", argument);
  require<ConfigError>(equals != std::string::npos && equals > 0,
                       "{}: not key=value; write for example train.steps=200", origin);
  std::string rest = argument.substr(0, equals);
  Json* node = &json_.value;
  Path path;
  while (!rest.empty()) {
    require<ConfigError>(node->is_structured(), "{}: {}: {} holds no keys; set the key itself",
                         origin, dotted(path), json_excerpt(*node));
    std::string step;
    if (node->is_array()) {
      const std::string name = rest.substr(0, rest.find('.'));
      const auto index = item_index(*node, name);
      require<ConfigError>(index.has_value(), "{}: {}: no item '{}'{}", origin, dotted(path), name,
                           did_you_mean(name, item_names(*node)));
      step = std::to_string(*index);
      rest.erase(0, name.size());
      node = &(*node)[*index];
    } else {
      step = next_key(*node, rest);
      rest.erase(0, step.size());
      if (!node->contains(step)) origins_[pointer_of(child(path, step))] = origin;
      node = &node->emplace(step, Json::object()).first.value();
    }
    path.push_back(step);
    require<ConfigError>(!step.empty() && rest != ".", "{}: empty step in the path; remove a dot",
                         origin);
    if (!rest.empty()) rest.erase(0, 1);
  }
  *node = override_value(argument.substr(equals + 1), origin);
  const std::string pointer = pointer_of(path);
  erase_below(origins_, pointer);
  erase_below(json_.keys, pointer);  // what the file says there is gone
  erase_below(json_.values, pointer);
  origins_[pointer] = origin;
}

std::string Document::place(const Path& path, bool of_key) const {
  std::vector<std::string> prefixes{""};
  for (const std::string& step : path)
    prefixes.push_back(json_pointer_child(prefixes.back(), step));
  for (auto prefix = prefixes.rbegin(); prefix != prefixes.rend(); ++prefix) {
    if (const auto origin = origins_.find(*prefix); origin != origins_.end()) return origin->second;
    const bool whole = prefix == prefixes.rbegin();
    const auto& first = whole && of_key ? json_.keys : json_.values;
    auto found = first.find(*prefix);
    if (found == first.end()) {
      found = json_.values.find(*prefix);
      if (found == json_.values.end()) continue;
    }
    return fmt::format("{}:{}:{}", name_, found->second.line, found->second.column);
  }
  return name_;
}

void Document::fail_key(const Path& path, const std::string& message) const {
  const std::string topic = path.empty() ? "" : dotted(path) + ": ";
  throw ConfigError(on_one_line(fmt::format("{}: {}{}", place(path, true), topic, message)));
}

void Document::fail_value(const Path& path, const std::string& message) const {
  const std::string topic = path.empty() ? "" : dotted(path) + ": ";
  throw ConfigError(on_one_line(fmt::format("{}: {}{}", place(path, false), topic, message)));
}

void Document::fail_located(const Path& fallback, const std::string& message) const {
  std::string rest = message.substr(0, message.find(": "));
  const Json* node = &json_.value;
  Path path;
  while (!rest.empty() && node->is_structured()) {
    std::string step = rest.substr(0, rest.find('.'));
    if (node->is_object()) {
      step = next_key(*node, rest);
      if (!node->contains(step)) break;
      node = &(*node)[step];
    } else {
      const auto index = item_index(*node, step);
      if (!index) break;
      node = &(*node)[*index];
    }
    path.push_back(step);
    rest.erase(0, std::min(rest.size(), step.size() + 1));
  }
  throw ConfigError(
      on_one_line(fmt::format("{}: {}", place(path.empty() ? fallback : path, false), message)));
}

}  // namespace veomni
