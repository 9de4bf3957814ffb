// Attributes and items of values, in the order in which Jinja's sandbox looks for them.
#include <algorithm>

#include "core/error.h"
#include "core/template/characters.h"
#include "core/template/interpreter.h"

namespace veomni::jinja {
namespace {

using Is = Value::Kind;

constexpr std::string_view kTextMethods[] = {
    "capitalize",   "casefold",    "center",    "count",      "encode",       "endswith",
    "expandtabs",   "find",        "format",    "format_map", "index",        "isalnum",
    "isalpha",      "isascii",     "isdecimal", "isdigit",    "isidentifier", "islower",
    "isnumeric",    "isprintable", "isspace",   "istitle",    "isupper",      "join",
    "ljust",        "lower",       "lstrip",    "maketrans",  "partition",    "removeprefix",
    "removesuffix", "replace",     "rfind",     "rindex",     "rjust",        "rpartition",
    "rsplit",       "rstrip",      "split",     "splitlines", "startswith",   "strip",
    "swapcase",     "title",       "translate", "upper",      "zfill"};
constexpr std::string_view kListMethods[] = {"append", "clear",   "copy",   "count",
                                             "extend", "index",   "insert", "pop",
                                             "remove", "reverse", "sort"};
constexpr std::string_view kMappingMethods[] = {"clear",      "copy",   "fromkeys", "get",
                                                "items",      "keys",   "pop",      "popitem",
                                                "setdefault", "update", "values"};

template <size_t N>
bool among(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

Value near(const Loop& loop, int64_t offset, Heap& heap) {
  const int64_t place = loop.index + offset;
  if (loop.items == nullptr || place < 0 || place >= loop.length)
    return heap.undefined(offset < 0 ? "there is no previous item" : "there is no next item");
  return (*loop.items)[static_cast<size_t>(place)];
}

Value loop_attribute(Loop& loop, const std::string& name, Heap& heap) {
  if (name == "index") return Value::of(loop.index + 1);
  if (name == "index0") return Value::of(loop.index);
  if (name == "revindex") return Value::of(loop.length - loop.index);
  if (name == "revindex0") return Value::of(loop.length - loop.index - 1);
  if (name == "first") return Value::of(loop.index == 0);
  if (name == "last") return Value::of(loop.index == loop.length - 1);
  if (name == "length") return Value::of(loop.length);
  if (name == "depth") return Value::of(int64_t{1});
  if (name == "depth0") return Value::of(int64_t{0});
  if (name == "previtem") return near(loop, -1, heap);
  if (name == "nextitem") return near(loop, 1, heap);
  if (name != "cycle") return heap.undefined(fmt::format("'loop' has no attribute '{}'", name));
  auto* method = heap.make<Method>();
  method->self = of(&loop);
  method->name = name;
  return of(method);
}

Value object_attribute(Object& object, const std::string& name, Heap& heap) {
  if (auto* loop = dynamic_cast<Loop*>(&object)) return loop_attribute(*loop, name, heap);
  if (const auto* space = dynamic_cast<const Namespace*>(&object)) {
    heap.work(space->items.size());
    for (const auto& item : space->items)
      if (item.first == name) return item.second;
  }
  return heap.undefined(fmt::format("'{}' has no attribute '{}'", object.type(), name));
}

Value missing(const Value& value, const std::string& name, Heap& heap) {
  return heap.undefined(fmt::format("'{}' has no attribute '{}'", type_name(value), name));
}

// The item at an index that may count from the end, or null.
const Value* at(const std::vector<Value>& items, int64_t index) {
  const auto length = static_cast<int64_t>(items.size());
  if (index < 0) index += length;
  return index < 0 || index >= length ? nullptr : &items[static_cast<size_t>(index)];
}

Value character(const std::string& text, int64_t index, Heap& heap) {
  heap.work(text.size());
  const int64_t length = length_of(text);
  if (index < 0) index += length;
  if (index < 0 || index >= length) return heap.undefined("the text has no such character");
  const size_t begin = byte_of(text, index);
  return heap.text(text.substr(begin, byte_of(std::string_view(text).substr(begin), 1)));
}

bool indexed(const Value& value) {
  return value.is(Is::sequence) && (value.sequence->style <= Sequence::Style::tuple ||
                                    value.sequence->style == Sequence::Style::range);
}

}  // namespace

bool has_method(const Value& value, std::string_view name) {
  if (value.is(Is::text)) return among(kTextMethods, name);
  if (value.is(Is::mapping)) return among(kMappingMethods, name);
  if (!value.is(Is::sequence)) return false;
  if (value.sequence->style == Sequence::Style::list) return among(kListMethods, name);
  return value.sequence->style == Sequence::Style::tuple && (name == "count" || name == "index");
}

Value Interpreter::attribute(const Value& value, const std::string& name) {
  if (value.is(Is::undefined))
    problem("{}", value.text != nullptr ? value.text->text : "the value is undefined");
  if (value.is(Is::object)) return object_attribute(*value.object, name, heap_);
  if (has_method(value, name)) {
    auto* method = heap_.make<Method>();
    method->self = value;
    method->name = name;
    return of(method);
  }
  if (value.is(Is::mapping))
    if (const Value* found = find(*value.mapping, name, heap_)) return *found;
  return missing(value, name, heap_);
}

Value Interpreter::item(const Value& value, const Value& key) {
  if (value.is(Is::undefined))
    problem("{}", value.text != nullptr ? value.text->text : "the value is undefined");
  if (value.is(Is::mapping)) {
    if (const Value* found = find(*value.mapping, key, heap_)) return *found;
  } else if (key.is_integer()) {
    if (value.is(Is::text)) return character(value.text->text, key.as_integer(), heap_);
    if (indexed(value)) {
      const Value* found = at(value.sequence->items, key.as_integer());
      return found != nullptr ? *found : heap_.undefined("the list has no such item");
    }
  }
  // A name that is no key is looked for among the attributes.
  if (key.is(Is::text) && (value.is(Is::object) || has_method(value, key.text->text)))
    return attribute(value, key.text->text);
  return missing(value, key.is(Is::text) ? key.text->text : type_name(key), heap_);
}

}  // namespace veomni::jinja
