#include "core/template/value.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/template/characters.h"
#include "core/template/search.h"

namespace veomni::jinja {
namespace {

using Kind = Value::Kind;

int32_t depth_of(const Value& value) {
  if (value.is(Kind::sequence)) return value.sequence->depth;
  return value.is(Kind::mapping) ? value.mapping->depth : 0;
}

int32_t deeper(int32_t depth) {
  if (depth >= kValueDepth) problem("lists and mappings nested deeper than {} levels", kValueDepth);
  return depth + 1;
}

int compare_integers(int64_t a, int64_t b) { return a < b ? -1 : a > b ? 1 : 0; }

int compare_numbers(const Value& a, const Value& b) {
  if (a.is_integer() && b.is_integer()) return compare_integers(a.as_integer(), b.as_integer());
  const double x = a.as_real(), y = b.as_real();
  return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

bool equal_sequences(const Sequence& a, const Sequence& b, Heap& heap) {
  if (a.style != b.style) return false;
  if (a.style == Sequence::Style::generator || a.style == Sequence::Style::view) return &a == &b;
  return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(),
                    [&](const Value& x, const Value& y) { return equal(x, y, heap); });
}

bool equal_mappings(const Mapping& a, const Mapping& b, Heap& heap) {
  if (a.items.size() != b.items.size()) return false;
  for (const auto& [key, value] : a.items) {
    const Value* other = find(b, key, heap);
    if (other == nullptr || !equal(value, *other, heap)) return false;
  }
  return true;
}

}  // namespace

Value Heap::text(std::string text, bool safe) {
  take(text.size() + sizeof(Text));
  Value made = Value::of(Kind::text);
  made.text = &texts_.emplace_back(Text{std::move(text), safe});
  return made;
}

Value Heap::undefined(std::string what) {
  Value made = text(std::move(what));
  made.kind = Kind::undefined;
  return made;
}

Value Heap::sequence(std::vector<Value> items, Sequence::Style style) {
  take(items.size() * sizeof(Value) + sizeof(Sequence));
  int32_t depth = 0;
  for (const Value& item : items) depth = std::max(depth, depth_of(item));
  Value made = Value::of(Kind::sequence);
  made.sequence = &sequences_.emplace_back(Sequence{style, deeper(depth), false, std::move(items)});
  return made;
}

Value Heap::mapping(std::vector<std::pair<Value, Value>> items) {
  take(items.size() * 2 * sizeof(Value) + sizeof(Mapping));
  int32_t depth = 0;
  for (const auto& item : items) depth = std::max(depth, depth_of(item.second));
  Value made = Value::of(Kind::mapping);
  made.mapping = &mappings_.emplace_back(Mapping{deeper(depth), std::move(items)});
  return made;
}

Value Heap::json(const Json& json) {
  if (json.is_null()) return Value::none();
  if (json.is_boolean()) return Value::of(json.get<bool>());
  if (json.is_string()) return text(json.get_ref<const std::string&>());
  if (json.is_number_float()) return Value::of(json.get<double>());
  if (json.is_number()) {
    const bool fits = !json.is_number_unsigned() ||
                      json.get<uint64_t>() <= uint64_t{std::numeric_limits<int64_t>::max()};
    if (!fits) problem("the integer {} cannot be held in 64 bits", json.dump());
    return Value::of(json.get<int64_t>());
  }
  if (json.is_array()) {
    std::vector<Value> items;
    for (const Json& item : json) items.push_back(this->json(item));
    return sequence(std::move(items));
  }
  std::vector<std::pair<Value, Value>> items;
  for (const auto& [key, item] : json.items()) {
    const Value name = text(key);
    items.emplace_back(name, this->json(item));
  }
  return mapping(std::move(items));
}

std::string type_name(const Value& value) {
  static constexpr const char* kNames[] = {"undefined", "None", "bool", "int",   "float",
                                           "str",       "list", "dict", "object"};
  static constexpr const char* kStyles[] = {"list", "tuple", "generator", "view", "range"};
  if (value.is(Kind::sequence)) return kStyles[static_cast<size_t>(value.sequence->style)];
  if (value.is(Kind::object)) return value.object->type();
  return kNames[static_cast<size_t>(value.kind)];
}

bool truth(const Value& value) {
  switch (value.kind) {
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
      return value.boolean;
    case Kind::integer:
      return value.integer != 0;
    case Kind::real:
      return value.real != 0;
    case Kind::text:
      return !value.text->text.empty();
    case Kind::sequence:
      return value.sequence->style == Sequence::Style::generator || !value.sequence->items.empty();
    case Kind::mapping:
      return !value.mapping->items.empty();
    case Kind::object:
      break;
  }
  return true;
}

bool equal(const Value& a, const Value& b, Heap& heap) {
  heap.work(1);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::text:
      heap.work(std::min(a.text->text.size(), b.text->text.size()) / 8);
      return a.text->text == b.text->text;
    case Kind::sequence:
      return a.sequence == b.sequence || equal_sequences(*a.sequence, *b.sequence, heap);
    case Kind::mapping:
      return a.mapping == b.mapping || equal_mappings(*a.mapping, *b.mapping, heap);
    case Kind::object:
      return a.object == b.object;
    default:
      return true;  // undefined and none
  }
}

int compare(const Value& a, const Value& b, Heap& heap) {
  heap.work(1);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b);
  if (a.is(Kind::text) && b.is(Kind::text)) {
    heap.work(std::min(a.text->text.size(), b.text->text.size()) / 8);
    const int order = a.text->text.compare(b.text->text);
    return order < 0 ? -1 : order > 0 ? 1 : 0;
  }
  const bool lists = a.is(Kind::sequence) && b.is(Kind::sequence) &&
                     a.sequence->style == b.sequence->style &&
                     a.sequence->style <= Sequence::Style::tuple;
  if (!lists) problem("'{}' and '{}' have no order", type_name(a), type_name(b));
  const auto &x = a.sequence->items, &y = b.sequence->items;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i)
    if (!equal(x[i], y[i], heap)) return compare(x[i], y[i], heap);
  return compare_integers(static_cast<int64_t>(x.size()), static_cast<int64_t>(y.size()));
}

const Value* find(const Mapping& mapping, const Value& key, Heap& heap) {
  for (const auto& item : mapping.items)
    if (equal(item.first, key, heap)) return &item.second;
  return nullptr;
}

const Value* find(const Mapping& mapping, std::string_view key, Heap& heap) {
  heap.work(mapping.items.size());
  for (const auto& item : mapping.items)
    if (item.first.is(Kind::text) && item.first.text->text == key) return &item.second;
  return nullptr;
}

bool contains(const Value& container, const Value& item, Heap& heap) {
  if (container.is(Kind::text)) {
    if (!item.is(Kind::text)) problem("'in <str>' needs a str, not '{}'", type_name(item));
    heap.work(container.text->text.size());
    return find_text(container.text->text, item.text->text) != std::string::npos;
  }
  if (container.is(Kind::mapping)) {
    if (item.is(Kind::sequence) && item.sequence->style == Sequence::Style::list)
      problem("unhashable type: 'list'");
    if (item.is(Kind::mapping)) problem("unhashable type: 'dict'");
    return find(*container.mapping, item, heap) != nullptr;
  }
  const auto items = items_of(container, heap);
  return std::any_of(items.begin(), items.end(),
                     [&](const Value& value) { return equal(value, item, heap); });
}

std::vector<Value> items_of(const Value& value, Heap& heap) {
  std::vector<Value> items;
  if (value.is(Kind::sequence)) {
    const Sequence& sequence = *value.sequence;
    heap.work(sequence.items.size());
    if (sequence.style == Sequence::Style::generator && std::exchange(sequence.used, true))
      return items;
    return sequence.items;
  }
  if (value.is(Kind::mapping)) {
    for (const auto& item : value.mapping->items) items.push_back(item.first);
  } else if (value.is(Kind::text)) {
    const std::string& text = value.text->text;
    for (size_t i = 0, start = 0; i < text.size(); start = i) {
      code_at(text, i);
      items.push_back(heap.text(text.substr(start, i - start)));
    }
  } else if (!value.is(Kind::undefined)) {
    problem("'{}' cannot be iterated over", type_name(value));
  }
  heap.work(items.size());
  return items;
}

}  // namespace veomni::jinja
