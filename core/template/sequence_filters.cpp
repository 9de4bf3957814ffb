// Filters of lists and mappings.
#include <algorithm>

#include "core/error.h"
#include "core/template/characters.h"
#include "core/template/filters.h"

namespace veomni::jinja {
namespace {

using Is = Value::Kind;
using Style = Sequence::Style;

std::vector<Value> items(const FilterCall& call) { return items_of(call.input, call.heap); }

Value length(const FilterCall& call) {
  call.bind({});
  const Value& input = call.input;
  if (input.is(Is::undefined)) return Value::of(int64_t{0});
  if (input.is(Is::text)) return Value::of(length_of(input.text->text));
  if (input.is(Is::mapping)) return Value::of(static_cast<int64_t>(input.mapping->items.size()));
  if (!input.is(Is::sequence) || input.sequence->style == Style::generator)
    problem("'{}' has no length", type_name(input));
  return Value::of(static_cast<int64_t>(input.sequence->items.size()));
}

Value first(const FilterCall& call) {
  call.bind({});
  const auto all = items(call);
  return all.empty() ? call.heap.undefined("an empty list has no first item") : all.front();
}

Value last(const FilterCall& call) {
  call.bind({});
  if (call.input.is(Is::sequence) && call.input.sequence->style == Style::generator)
    problem("'generator' has no last item; use 'list' on it");
  const auto all = items(call);
  return all.empty() ? call.heap.undefined("an empty list has no last item") : all.back();
}

Value listed(const FilterCall& call) {
  call.bind({});
  return call.list(items(call));
}

Value reversed(const FilterCall& call) {
  call.bind({});
  auto all = items(call);
  std::reverse(all.begin(), all.end());
  if (!call.input.is(Is::text)) {
    const bool list = call.input.is(Is::sequence) && call.input.sequence->style == Style::generator;
    return call.list(std::move(all), list ? Style::list : Style::generator);
  }
  std::string text;
  for (const Value& item : all) text += item.text->text;
  return call.heap.text(std::move(text));
}

Value mapping_items(const FilterCall& call) {
  call.bind({});
  std::vector<Value> pairs;
  if (call.input.is(Is::mapping))
    for (const auto& [key, value] : call.input.mapping->items)
      pairs.push_back(call.list({key, value}, Style::tuple));
  else if (!call.input.is(Is::undefined))
    problem("'items' needs a mapping, not '{}'", type_name(call.input));
  return call.list(std::move(pairs), Style::generator);
}

/// "a.b.0" or a number: item after item.
class Path {
 public:
  Path(const Value& attribute, Heap& heap) {
    if (attribute.is(Is::none) || attribute.is(Is::undefined)) return;
    if (!attribute.is(Is::text)) {
      parts_.push_back(attribute);
      return;
    }
    std::string_view rest = attribute.text->text;
    while (true) {
      const size_t dot = rest.find('.');
      const std::string part(rest.substr(0, dot));
      const bool number = !part.empty() && std::all_of(part.begin(), part.end(),
                                                       [](char c) { return c >= '0' && c <= '9'; });
      parts_.push_back(number && part.size() < 10 ? Value::of(int64_t{std::stoll(part)})
                                                  : heap.text(part));
      if (dot == std::string_view::npos) break;
      rest.remove_prefix(dot + 1);
    }
  }
  Value of(Value value, Interpreter& run) const {
    for (const Value& part : parts_) value = run.item(value, part);
    return value;
  }

 private:
  std::vector<Value> parts_;
};

Value joined(const FilterCall& call) {
  const Bound bound = call.bind({"d", "attribute"});
  const std::string between = bound.has(0) ? to_text(bound[0], call.heap) : "";
  const Path path(bound.has(1) ? bound[1] : Value::none(), call.heap);
  std::string out;
  bool begun = false;
  for (const Value& item : items(call)) {
    if (begun) out += between;
    begun = true;
    append_text(path.of(item, call.run), out, call.heap);
    call.heap.take(between.size());
  }
  return call.heap.text(std::move(out));
}

Arguments rest_of(const Arguments& arguments, size_t from) {
  Arguments rest = arguments;
  rest.values.erase(rest.values.begin(),
                    rest.values.begin() + static_cast<int64_t>(std::min(from, rest.values.size())));
  return rest;
}

Value mapped(const FilterCall& call) {
  std::vector<Value> out;
  if (!truth(call.input)) return call.list({}, Style::generator);
  if (call.arguments.values.empty()) {
    const Bound bound = call.bind({"attribute", "default"});
    const Path path(bound.need(0), call.heap);
    for (const Value& item : items(call)) {
      const Value value = path.of(item, call.run);
      out.push_back(value.is(Is::undefined) && bound.some(1) ? bound[1] : value);
    }
    return call.list(std::move(out), Style::generator);
  }
  const std::string& name = text_of(call.arguments.values[0], call.name);
  const Arguments rest = rest_of(call.arguments, 1);
  for (const Value& item : items(call)) out.push_back(apply_filter(name, item, rest, call.run));
  return call.list(std::move(out), Style::generator);
}

// select, reject: (test, arguments …); selectattr, rejectattr: (attribute, test, arguments …).
Value selected(const FilterCall& call) {
  const std::string_view name = call.name;
  const bool by_attribute = name.ends_with("attr"), wanted = name.starts_with("select");
  const auto& given = call.arguments.values;
  if (by_attribute && given.empty()) problem("'{}' needs the name of an attribute", name);
  const Path path(by_attribute ? given[0] : Value::none(), call.heap);
  const size_t at = by_attribute ? 1 : 0;
  const std::string test = at < given.size() ? text_of(given[at], call.name) : "";
  if (!test.empty() && !is_test(test)) problem("the test '{}' is not supported", test);
  const Arguments rest = rest_of(call.arguments, at + 1);
  std::vector<Value> out;
  if (!truth(call.input)) return call.list({}, Style::generator);
  for (const Value& item : items(call)) {
    const Value value = path.of(item, call.run);
    const bool holds = test.empty() ? truth(value) : apply_test(test, value, rest, call.run);
    if (holds == wanted) out.push_back(item);
  }
  return call.list(std::move(out), Style::generator);
}

Value without_case(const Value& value, Heap& heap) {
  return value.is(Is::text) ? heap.text(lower(value.text->text)) : value;
}

using Keyed = std::vector<std::pair<Value, Value>>;  // key, item

void sort_by_key(Keyed& keyed, bool reverse, Heap& heap) {
  // Checked first: a comparison that throws inside of std::stable_sort is fine, NaN's is not.
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    const int order = compare(a.first, b.first, heap);
    if (order == 2) problem("NaN cannot be sorted");
    return reverse ? order > 0 : order < 0;
  });
}

Value sorted(const FilterCall& call) {
  const Bound bound = call.bind({"reverse", "case_sensitive", "attribute"});
  std::vector<Path> paths;
  if (bound.some(2) && bound[2].is(Is::text)) {
    std::string_view rest = bound[2].text->text;
    for (size_t comma = 0; comma != std::string_view::npos;) {
      comma = rest.find(',');
      paths.emplace_back(call.heap.text(std::string(rest.substr(0, comma))), call.heap);
      if (comma != std::string_view::npos) rest.remove_prefix(comma + 1);
    }
  } else {
    paths.emplace_back(bound.some(2) ? bound[2] : Value::none(), call.heap);
  }
  Keyed keyed;
  for (const Value& item : items(call)) {
    std::vector<Value> key;
    for (const Path& path : paths) {
      const Value value = path.of(item, call.run);
      key.push_back(bound.flag(1, false) ? value : without_case(value, call.heap));
    }
    keyed.emplace_back(call.list(std::move(key)), item);
  }
  sort_by_key(keyed, bound.flag(0, false), call.heap);
  std::vector<Value> out;
  for (const auto& item : keyed) out.push_back(item.second);
  return call.list(std::move(out));
}

Value sorted_mapping(const FilterCall& call) {
  const Bound bound = call.bind({"case_sensitive", "by", "reverse"});
  if (!call.input.is(Is::mapping))
    problem("'dictsort' needs a mapping, not '{}'", type_name(call.input));
  const std::string by = bound.text(1, "key");
  if (by != "key" && by != "value") problem("'dictsort' sorts by 'key' or 'value'");
  Keyed keyed;
  for (const auto& [key, value] : call.input.mapping->items) {
    const Value& chosen = by == "key" ? key : value;
    keyed.emplace_back(bound.flag(0, false) ? chosen : without_case(chosen, call.heap),
                       call.list({key, value}, Style::tuple));
  }
  sort_by_key(keyed, bound.flag(2, false), call.heap);
  std::vector<Value> out;
  for (const auto& item : keyed) out.push_back(item.second);
  return call.list(std::move(out));
}

Value unique(const FilterCall& call) {
  const Bound bound = call.bind({"case_sensitive", "attribute"});
  const Path path(bound.has(1) ? bound[1] : Value::none(), call.heap);
  std::vector<Value> seen, out;
  for (const Value& item : items(call)) {
    Value key = path.of(item, call.run);
    if (!bound.flag(0, false)) key = without_case(key, call.heap);
    const bool known = std::any_of(
        seen.begin(), seen.end(), [&](const Value& other) { return equal(key, other, call.heap); });
    if (known) continue;
    seen.push_back(key);
    out.push_back(item);
  }
  return call.list(std::move(out), Style::generator);
}

Value least_or_most(const FilterCall& call) {
  const Bound bound = call.bind({"case_sensitive", "attribute"});
  const Path path(bound.has(1) ? bound[1] : Value::none(), call.heap);
  const bool least = call.name[1] == 'i';
  Value best, best_key;
  bool any = false;
  for (const Value& item : items(call)) {
    Value key = path.of(item, call.run);
    if (!bound.flag(0, false)) key = without_case(key, call.heap);
    if (any) {
      const int order = compare(key, best_key, call.heap);
      if (order == 2 || (least ? order >= 0 : order <= 0)) continue;
    }
    any = true;
    best = item;
    best_key = key;
  }
  return any ? best : call.heap.undefined("an empty list has no least or greatest item");
}

Value sum(const FilterCall& call) {
  const Bound bound = call.bind({"attribute", "start"});
  const Path path(bound.has(0) ? bound[0] : Value::none(), call.heap);
  Value total = bound.has(1) ? bound[1] : Value::of(int64_t{0});
  for (const Value& item : items(call))
    total = binary("+", total, path.of(item, call.run), call.heap);
  return total;
}

constexpr FilterEntry kFilters[] = {
    {"length", length},
    {"count", length},
    {"first", first},
    {"last", last},
    {"list", listed},
    {"reverse", reversed},
    {"items", mapping_items},
    {"join", joined},
    {"map", mapped},
    {"select", selected},
    {"reject", selected},
    {"selectattr", selected},
    {"rejectattr", selected},
    {"sort", sorted},
    {"dictsort", sorted_mapping},
    {"unique", unique},
    {"min", least_or_most},
    {"max", least_or_most},
    {"sum", sum},
};

}  // namespace

const FilterEntry* sequence_filter(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFilters), std::end(kFilters),
                                   [&](const FilterEntry& entry) { return entry.name == name; });
  return found != std::end(kFilters) ? found : nullptr;
}

}  // namespace veomni::jinja
