#include "core/recipe/resolve.h"

#include <cmath>
#include <map>

#include "core/error.h"
#include "core/suggest.h"

namespace veomni {

namespace {

constexpr double kExactInteger =
    9007199254740992.0;  // 2^53: larger ones are not exact in every JSON reader

std::string unavailable(const std::string& what, const Key& key) {
  return fmt::format("{} is not available in this version; {}", what,
                     key.instead.empty() ? "leave it out" : key.instead);
}

class Resolver {
 public:
  explicit Resolver(const Document& document) : document_(document) {}

  Json value(const Key& key, const Json& given, const Path& path) const {
    if (given.is_null()) fail(path, "null is not a value; leave the key out for its default");
    if (given.is_string()) check_reserved_value(key, given, path);
    if (!key.any_of.empty()) return alternative(key, given, path);
    if (!has_type(key.type, given)) {
      fail(path, fmt::format("must be {}, not {}", type_words(key.type), json_excerpt(given)));
    }
    switch (key.type) {
      case Key::Type::integer:
      case Key::Type::number:
        return number(key, given, path);
      case Key::Type::string:
        return string(key, given, path);
      case Key::Type::array:
        return array(key, given, path);
      case Key::Type::object:
        return object(key, given, path);
      default:
        return given;
    }
  }

 private:
  [[noreturn]] void fail(const Path& path, const std::string& message) const {
    document_.fail_value(path, message);
  }

  void check_reserved_value(const Key& key, const Json& given, const Path& path) const {
    for (const std::string& reserved : key.reserved_values) {
      if (given == reserved) fail(path, unavailable(json_excerpt(given), key));
    }
  }

  Json alternative(const Key& key, const Json& given, const Path& path) const {
    std::string words;
    for (const Key& choice : key.any_of) {
      if (has_type(choice.type, given)) return value(choice, given, path);
      words += (words.empty() ? "" : " or ") + type_words(choice.type);
    }
    fail(path, fmt::format("must be {}, not {}", words, json_excerpt(given)));
  }

  /// `unit` is empty for a number itself, else what is counted.
  void check_bounds(const Key& key, double x, const std::string& unit, const Path& path) const {
    const bool low = key.minimum && (key.exclusive_minimum ? x <= *key.minimum : x < *key.minimum);
    const bool high = key.maximum && (key.exclusive_maximum ? x >= *key.maximum : x > *key.maximum);
    if (!low && !high) return;
    std::string bounds;
    if (key.minimum) {
      bounds =
          fmt::format("{} {}", key.exclusive_minimum ? "greater than" : "at least", *key.minimum);
    }
    if (key.maximum) {
      bounds += fmt::format("{}{} {}", bounds.empty() ? "" : " and ",
                            key.exclusive_maximum ? "less than" : "at most", *key.maximum);
    }
    fail(path, unit.empty() ? fmt::format("must be {}, not {}", bounds, x)
                            : fmt::format("must have {} {}, not {}", bounds, unit, x));
  }

  Json number(const Key& key, const Json& given, const Path& path) const {
    const double x = given.get<double>();
    if (!key.instead.empty() && key.maximum && x > *key.maximum) {
      fail(path, unavailable(fmt::format("{}", x), key));
    }
    check_bounds(key, x, "", path);
    if (key.type == Key::Type::number) return given;
    if (std::fabs(x) > kExactInteger) fail(path, "too large for an integer; at most 2^53");
    return given.is_number_float() ? Json(static_cast<int64_t>(x)) : given;
  }

  Json string(const Key& key, const Json& given, const Path& path) const {
    const auto& text = given.get_ref<const std::string&>();
    for (const char c : text) {
      const bool control = (static_cast<unsigned char>(c) < 0x20U && c != '\t') || c == 0x7F;
      if (control) fail(path, "holds a control character; remove it");
    }
    if (key.minimum && *key.minimum == 1 && text.empty()) fail(path, "must not be empty");
    check_bounds(key, static_cast<double>(text.size()), "bytes", path);
    if (key.choices.empty()) return given;
    for (const std::string& choice : key.choices) {
      if (choice == text) return given;
    }
    if (!key.reserved_values.empty() || !key.instead.empty()) {
      fail(path, unavailable(json_excerpt(given), key));
    }
    fail(path, fmt::format("unknown value '{}'{}", text, did_you_mean(text, key.choices)));
  }

  Json array(const Key& key, const Json& given, const Path& path) const {
    check_bounds(key, static_cast<double>(given.size()), "items", path);
    if (key.items.empty()) return given;
    Json out = Json::array();
    for (size_t i = 0; i < given.size(); ++i) {
      out.push_back(value(key.items[0], given[i], child(path, std::to_string(i))));
    }
    return out;
  }

  Json object(const Key& key, const Json& given, const Path& path) const {
    if (!key.items.empty()) return map(key, given, path);
    if (key.keys.empty() && key.variants.empty()) return given;
    const Variant* variant = key.variants.empty() ? nullptr : &chosen_variant(key, given, path);
    Keys keys = key.keys;
    if (variant) keys.insert(keys.end(), variant->keys.begin(), variant->keys.end());
    return known_keys(key, keys, variant, {given, path});
  }

  Json map(const Key& key, const Json& given, const Path& path) const {
    check_bounds(key, static_cast<double>(given.size()), "entries", path);
    Json out = Json::object();
    for (const auto& [name, item] : given.items()) {
      const Path here = child(path, name);
      if (!is_plain_name(name)) {
        document_.fail_key(here, "a name is made of letters, digits, '_' and '-'; rename it");
      }
      out[name] = value(key.items[0], item, here);
    }
    return out;
  }

  const Variant& chosen_variant(const Key& key, const Json& given, const Path& path) const {
    const auto selector = std::find_if(key.keys.begin(), key.keys.end(),
                                       [&](const Key& k) { return k.name == key.variant_key; });
    Json chosen = selector->default_value;
    const Path here = child(path, key.variant_key);
    if (given.contains(key.variant_key)) {
      chosen = value(*selector, given[key.variant_key], here);
    } else if (chosen.is_null()) {
      fail(path, fmt::format("missing key '{}' ({})", key.variant_key, selector->doc));
    }
    std::vector<std::string> known;
    for (const Variant& variant : key.variants) {
      if (chosen == variant.name) return variant;
      if (!variant.name.empty()) known.push_back(variant.name);
    }
    const auto name = chosen.get<std::string>();
    fail(here, fmt::format("unknown {} '{}'{}", key.variant_key, name, did_you_mean(name, known)));
  }

  struct Given {
    const Json& json;
    const Path& path;
  };

  Json known_keys(const Key& key, const Keys& keys, const Variant* variant, Given given) const {
    std::map<std::string, Json> values;
    for (const auto& [name, item] : given.json.items()) {
      const Path here = child(given.path, name);
      const auto known = std::find_if(keys.begin(), keys.end(),
                                      [&, n = name](const Key& k) { return k.name == n; });
      if (known == keys.end()) fail_unknown(key, keys, variant, here);
      if (known->reserved) document_.fail_key(here, unavailable("this key", *known));
      values[name] = value(*known, item, here);
    }
    Json out = Json::object();
    for (const Key& known : keys) {
      if (const auto found = values.find(known.name); found != values.end()) {
        out[known.name] = std::move(found->second);
      } else if (known.required) {
        fail(given.path, fmt::format("missing key '{}' ({})", known.name, known.doc));
      } else if (!known.default_value.is_null()) {
        out[known.name] = value(known, known.default_value, child(given.path, known.name));
      }
    }
    return out;
  }

  [[noreturn]] void fail_unknown(const Key& key, const Keys& keys, const Variant* variant,
                                 const Path& here) const {
    const std::string& name = here.back();
    for (const Variant& other : key.variants) {
      for (const Key& theirs : other.keys) {
        if (theirs.name != name || theirs.reserved) continue;
        document_.fail_key(here,
                           fmt::format("has no effect with {} '{}'; remove it, or choose '{}'",
                                       key.variant_key, variant->name, other.name));
      }
    }
    std::vector<std::string> names;
    for (const Key& known : keys) {
      if (!known.reserved) names.push_back(known.name);
    }
    document_.fail_key(here, "unknown key" + did_you_mean(name, names));
  }

  const Document& document_;
};

}  // namespace

Json resolve(const Key& key, const Json& given, const Path& path, const Document& document) {
  return Resolver(document).value(key, given, path);
}

std::string type_words(Key::Type type) {
  switch (type) {
    case Key::Type::boolean:
      return "true or false";
    case Key::Type::integer:
      return "an integer";
    case Key::Type::number:
      return "a number";
    case Key::Type::string:
      return "a string";
    case Key::Type::array:
      return "a list";
    case Key::Type::object:
      return "an object";
    case Key::Type::any:
      break;
  }
  return "a value";
}

bool has_type(Key::Type type, const Json& value) {
  switch (type) {
    case Key::Type::boolean:
      return value.is_boolean();
    case Key::Type::integer:
      return value.is_number_integer() ||
             (value.is_number_float() && std::trunc(value.get<double>()) == value.get<double>());
    case Key::Type::number:
      return value.is_number();
    case Key::Type::string:
      return value.is_string();
    case Key::Type::array:
      return value.is_array();
    case Key::Type::object:
      return value.is_object();
    case Key::Type::any:
      break;
  }
  return true;
}

bool is_plain_name(const std::string& name) {
  if (name.empty() || name.size() > 128) return false;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-';
    if (!plain) return false;
  }
  return true;
}

}  // namespace veomni
