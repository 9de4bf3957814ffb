// Tests (`is …`) and the functions that every template sees.
#include <algorithm>

#include "core/error.h"
#include "core/template/characters.h"
#include "core/template/interpreter.h"

namespace veomni::jinja {
namespace {

using Is = Value::Kind;
using Style = Sequence::Style;

constexpr std::string_view kPlain[] = {"defined", "undefined", "none",     "boolean",  "true",
                                       "false",   "integer",   "float",    "number",   "string",
                                       "mapping", "sequence",  "iterable", "callable", "odd",
                                       "even",    "lower",     "upper"};
/// Tests of two values; aliases stand with the operator they mean.
constexpr std::pair<std::string_view, std::string_view> kBinary[] = {
    {"==", "=="},         {"eq", "=="},         {"equalto", "=="},
    {"!=", "!="},         {"ne", "!="},         {"<", "<"},
    {"lt", "<"},          {"lessthan", "<"},    {"<=", "<="},
    {"le", "<="},         {">", ">"},           {"gt", ">"},
    {"greaterthan", ">"}, {">=", ">="},         {"ge", ">="},
    {"in", "in"},         {"sameas", "sameas"}, {"divisibleby", "divisibleby"}};

bool is_sequence(const Value& value) {
  if (value.is(Is::sequence))
    return value.sequence->style != Style::generator && value.sequence->style != Style::view;
  return value.is(Is::text) || value.is(Is::mapping) || value.is(Is::undefined);
}

bool is_callable(const Value& value) {
  if (value.is(Is::undefined)) return true;  // Jinja's Undefined can be called, to fail
  return value.is(Is::object) && dynamic_cast<const Namespace*>(value.object) == nullptr;
}

bool odd_or_even(const Value& value, int64_t rest, Heap& heap) {
  return equal(binary("%", value, Value::of(int64_t{2}), heap), Value::of(rest), heap);
}

// str.islower, str.isupper: there is a letter with case, and none of the other case.
bool has_only(const Value& value, bool up, Heap& heap) {
  const std::string text = to_text(value, heap), high = upper(text), low = lower(text);
  return high != low && text == (up ? high : low);
}

bool plain_test(std::string_view name, const Value& value, Heap& heap) {
  if (name == "defined") return !value.is(Is::undefined);
  if (name == "undefined") return value.is(Is::undefined);
  if (name == "none") return value.is(Is::none);
  if (name == "boolean") return value.is(Is::boolean);
  if (name == "true") return value.is(Is::boolean) && value.boolean;
  if (name == "false") return value.is(Is::boolean) && !value.boolean;
  if (name == "integer") return value.is(Is::integer);
  if (name == "float") return value.is(Is::real);
  if (name == "number") return value.is_number();
  if (name == "string") return value.is(Is::text);
  if (name == "mapping") return value.is(Is::mapping);
  if (name == "sequence") return is_sequence(value);
  if (name == "iterable") return is_sequence(value) || value.is(Is::sequence);
  if (name == "callable") return is_callable(value);
  if (name == "odd" || name == "even") return odd_or_even(value, name == "odd" ? 1 : 0, heap);
  return has_only(value, name == "upper", heap);
}

bool same(const Value& a, const Value& b, Heap& heap) {
  if (a.kind != b.kind) return false;
  if (a.is(Is::text)) return a.text == b.text || equal(a, b, heap);
  if (a.is(Is::sequence)) return a.sequence == b.sequence;
  if (a.is(Is::mapping)) return a.mapping == b.mapping;
  return equal(a, b, heap);
}

bool binary_test(std::string_view name, const Value& a, const Value& b, Heap& heap) {
  if (name == "==" || name == "!=") return equal(a, b, heap) == (name == "==");
  if (name == "in") return contains(b, a, heap);
  if (name == "sameas") return same(a, b, heap);
  if (name == "divisibleby") return equal(binary("%", a, b, heap), Value::of(int64_t{0}), heap);
  const int order = compare(a, b, heap);
  if (order == 2) return false;
  if (order == 0) return name.size() == 2;
  return (order < 0) == (name[0] == '<');
}

template <class Table>
auto lookup(const Table& table, std::string_view name) {
  return std::find_if(std::begin(table), std::end(table),
                      [&](const auto& entry) { return entry.first == name; });
}

bool is_plain(std::string_view name) {
  return std::find(std::begin(kPlain), std::end(kPlain), name) != std::end(kPlain);
}

void put(std::vector<std::pair<Value, Value>>& items, const Value& key, const Value& value,
         Heap& heap) {
  for (auto& item : items)
    if (equal(item.first, key, heap)) {
      item.second = value;
      return;
    }
  items.emplace_back(key, value);
}

/// The arguments of dict(…) and namespace(…): a mapping or pairs, then names.
std::vector<std::pair<Value, Value>> mapping_arguments(const Arguments& arguments, Heap& heap) {
  std::vector<std::pair<Value, Value>> items;
  if (arguments.values.size() > 1) problem("one mapping at most can be given");
  for (const Value& value : arguments.values) {
    if (value.is(Is::mapping)) {
      items = value.mapping->items;
      continue;
    }
    for (const Value& pair : items_of(value, heap)) {
      const auto both = items_of(pair, heap);
      if (both.size() != 2) problem("pairs of a key and a value are needed");
      put(items, both[0], both[1], heap);
    }
  }
  for (const auto& [name, value] : arguments.named)
    put(items, heap.text(std::string(name)), value, heap);
  return items;
}

Value make_namespace(const Arguments& arguments, Heap& heap) {
  auto* made = heap.make<Namespace>();
  for (const auto& [key, value] : mapping_arguments(arguments, heap)) {
    const std::string& name = text_of(key, "namespace");
    if (name.starts_with('_')) problem("a namespace cannot hold '{}'; rename it", name);
    made->items.emplace_back(name, value);
  }
  return of(made);
}

Value make_range(const Arguments& arguments, Heap& heap) {
  std::vector<int64_t> bounds;
  for (const Value& value : arguments.values) {
    if (!value.is_integer()) problem("'range' needs integers, not '{}'", type_name(value));
    bounds.push_back(value.as_integer());
  }
  if (bounds.empty() || bounds.size() > 3 || !arguments.named.empty())
    problem("'range' takes one to three integers");
  const int64_t first = bounds.size() > 1 ? bounds[0] : 0;
  const int64_t stop = bounds.size() > 1 ? bounds[1] : bounds[0];
  const int64_t step = bounds.size() > 2 ? bounds[2] : 1;
  if (step == 0) problem("a range's step cannot be 0");
  std::vector<Value> items;
  for (int64_t i = first; step > 0 ? i < stop : i > stop;) {
    if (static_cast<int64_t>(items.size()) >= kRangeLength)
      problem("the range is longer than {}", kRangeLength);
    items.push_back(Value::of(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return heap.sequence(std::move(items), Style::range);
}

Value time_text(const Arguments& arguments, Interpreter& run) {
  const Bound bound("strftime_now", {"format"}, arguments);
  const std::string format = text_of(bound.need(0), "strftime_now");
  const std::time_t now = run.now();
  std::tm local{};
  localtime_r(&now, &local);
  const size_t most = format.size() * 4 + 256;
  run.heap().take(most);
  std::string out(most, '\0');
  out.resize(format.empty() ? 0 : std::strftime(out.data(), out.size(), format.c_str(), &local));
  return run.heap().text(std::move(out));
}

[[noreturn]] void raise(const Arguments& arguments, Heap& heap) {
  const Bound bound("raise_exception", {"message"}, arguments);
  problem("{}", to_text(bound.need(0), heap));
}

}  // namespace

bool is_test(std::string_view name) {
  return is_plain(name) || lookup(kBinary, name) != std::end(kBinary);
}

bool apply_test(std::string_view name, const Value& input, const Arguments& arguments,
                Interpreter& run) {
  const size_t given = arguments.values.size() + arguments.named.size();
  if (is_plain(name)) {
    if (given != 0) problem("the test '{}' takes no argument", name);
    return plain_test(name, input, run.heap());
  }
  const auto found = lookup(kBinary, name);
  if (given != 1) problem("the test '{}' takes one argument", name);
  const Value& other = arguments.values.empty() ? arguments.named[0].second : arguments.values[0];
  return binary_test(found->second, input, other, run.heap());
}

bool is_function(std::string_view name) {
  return name == "namespace" || name == "dict" || name == "range" || name == "raise_exception" ||
         name == "strftime_now";
}

Value call_function(const std::string& name, const Arguments& arguments, Interpreter& run) {
  if (name == "namespace") return make_namespace(arguments, run.heap());
  if (name == "dict") return run.heap().mapping(mapping_arguments(arguments, run.heap()));
  if (name == "range") return make_range(arguments, run.heap());
  if (name == "strftime_now") return time_text(arguments, run);
  raise(arguments, run.heap());
}

}  // namespace veomni::jinja
