// The JSON Schema (draft 2020-12) of recipes, from the reader's own tables.
#include "core/recipe/recipe.h"
#include "core/recipe/table.h"

namespace veomni {

namespace {

Json to_schema(const Key& key);

const char* type_name(Key::Type type) {
  switch (type) {
    case Key::Type::boolean:
      return "boolean";
    case Key::Type::integer:
      return "integer";
    case Key::Type::number:
      return "number";
    case Key::Type::string:
      return "string";
    case Key::Type::array:
      return "array";
    default:
      return "object";
  }
}

void add_bounds(const Key& key, Json& schema) {
  const bool number = key.type == Key::Type::number || key.type == Key::Type::integer;
  const bool whole = key.type != Key::Type::number;
  const auto bound = [whole](double x) { return whole ? Json(static_cast<int64_t>(x)) : Json(x); };
  const std::string unit = key.type == Key::Type::array    ? "Items"
                           : key.type == Key::Type::string ? "Length"
                                                           : "Properties";
  if (key.minimum) {
    schema[!number                 ? "min" + unit
           : key.exclusive_minimum ? "exclusiveMinimum"
                                   : "minimum"] = bound(*key.minimum);
  }
  if (key.maximum) {
    schema[!number                 ? "max" + unit
           : key.exclusive_maximum ? "exclusiveMaximum"
                                   : "maximum"] = bound(*key.maximum);
  }
}

/// An object of exactly these keys; `variant` fixes the value of its variant key.
Json closed_object(const Key& key, const Variant* variant) {
  Json properties = Json::object(), required = Json::array();
  const auto add = [&](const Keys& keys) {
    for (const Key& each : keys) {
      if (each.reserved) continue;
      properties[each.name] = to_schema(each);
      if (each.required) required.push_back(each.name);
    }
  };
  add(key.keys);
  if (variant) {
    Json& selector = properties[key.variant_key];
    // Without the key the default variant is meant, so the others must be told by their name.
    const bool is_default = selector.value("default", "") == variant->name;
    selector["const"] = variant->name;
    if (!is_default) {
      selector.erase("default");
      if (std::find(required.begin(), required.end(), key.variant_key) == required.end()) {
        required.push_back(key.variant_key);
      }
    }
    add(variant->keys);
  }
  Json schema{{"type", "object"}};
  if (variant && !variant->doc.empty()) schema["description"] = variant->doc;
  schema["properties"] = std::move(properties);
  if (!required.empty()) schema["required"] = std::move(required);
  schema["additionalProperties"] = false;
  return schema;
}

void add_object(const Key& key, Json& schema) {
  if (!key.items.empty()) {
    schema["propertyNames"] = {{"pattern", "^[A-Za-z0-9_-]{1,128}$"}};
    schema["additionalProperties"] = to_schema(key.items[0]);
  } else if (!key.variants.empty()) {
    Json one_of = Json::array();
    for (const Variant& variant : key.variants) one_of.push_back(closed_object(key, &variant));
    schema["oneOf"] = std::move(one_of);
  } else if (!key.keys.empty()) {
    const Json closed = closed_object(key, nullptr);
    for (const auto& [name, value] : closed.items()) schema[name] = value;
  }
}

Json to_schema(const Key& key) {
  Json schema = Json::object();
  if (key.any_of.empty() && key.type != Key::Type::any) schema["type"] = type_name(key.type);
  if (!key.doc.empty()) schema["description"] = key.doc;
  if (!key.default_value.is_null()) schema["default"] = key.default_value;
  if (!key.choices.empty()) schema["enum"] = key.choices;
  add_bounds(key, schema);
  for (const Key& choice : key.any_of) schema["anyOf"].push_back(to_schema(choice));
  if (key.type == Key::Type::array && !key.items.empty()) schema["items"] = to_schema(key.items[0]);
  if (key.type == Key::Type::object) add_object(key, schema);
  return schema;
}

}  // namespace

Json recipe_schema() {
  Json schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
              {"title", "veomni recipe"}};
  const Json body = to_schema(recipe_key());
  for (const auto& [name, value] : body.items()) schema[name] = value;
  return schema;
}

}  // namespace veomni
