// Methods of texts, mappings and lists.
#include <algorithm>

#include "core/error.h"
#include "core/template/characters.h"
#include "core/template/interpreter.h"
#include "core/template/search.h"

namespace veomni::jinja {
namespace {

using Is = Value::Kind;

struct Call {
  const char* name;
  const Value& self;
  const Arguments& arguments;
  Interpreter& run;
  Heap& heap;

  const std::string& text() const { return text_of(self, name); }
  Value made(std::string_view result) const { return heap.text(std::string(result)); }
  Bound bind(std::initializer_list<std::string_view> names) const {
    return Bound(name, names, arguments);
  }
};

Value stripped(const Call& call) {
  const Bound bound = call.bind({"chars"});
  const std::string characters = bound.text(0, "");
  if (bound.some(0) && characters.empty()) return call.self;
  const std::string_view name = call.name;
  return call.made(strip(call.text(), characters, name != "rstrip", name != "lstrip"));
}

/// What stands before the first white space, or behind the last.
std::string_view word(std::string_view text, bool from_right) {
  if (!from_right) {
    for (size_t i = 0, start = 0; i < text.size(); start = i)
      if (is_space(code_at(text, i))) return text.substr(0, start);
    return text;
  }
  for (size_t start = text.size(); start > 0;) {
    const size_t end = start;
    start = last_code_point(text.substr(0, end));
    size_t next = start;
    if (is_space(code_at(text, next))) return text.substr(end);
  }
  return text;
}

std::vector<Value> split_white(const Call& call, int64_t most, bool from_right) {
  std::vector<Value> parts;
  std::string_view rest = call.text();
  while (!(rest = strip(rest, {}, !from_right, from_right)).empty()) {
    if (most >= 0 && static_cast<int64_t>(parts.size()) == most) {
      parts.push_back(call.made(rest));
      break;
    }
    const std::string_view part = word(rest, from_right);
    parts.push_back(call.made(part));
    if (from_right)
      rest.remove_suffix(part.size());
    else
      rest.remove_prefix(part.size());
  }
  return parts;
}

std::vector<Value> split_at(const Call& call, const std::string& mark, int64_t most,
                            bool from_right) {
  std::vector<Value> parts;
  const std::string_view text = call.text();
  Search search(text, mark, from_right);
  size_t begin = 0, end = text.size();  // of what is not split yet
  while (most < 0 || static_cast<int64_t>(parts.size()) < most) {
    const size_t found = search.next();
    if (found == std::string_view::npos) break;
    const size_t behind = found + mark.size();
    parts.push_back(call.made(from_right ? text.substr(behind, end - behind)
                                         : text.substr(begin, found - begin)));
    (from_right ? end : begin) = from_right ? found : behind;
  }
  parts.push_back(call.made(text.substr(begin, end - begin)));
  return parts;
}

Value split(const Call& call) {
  const Bound bound = call.bind({"sep", "maxsplit"});
  const bool from_right = std::string_view(call.name) == "rsplit";
  const int64_t most = bound.integer(1, -1);
  const std::string mark = bound.text(0, "");
  if (bound.some(0) && mark.empty()) problem("'{}': the separator is empty", call.name);
  auto parts =
      mark.empty() ? split_white(call, most, from_right) : split_at(call, mark, most, from_right);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return call.heap.sequence(std::move(parts));
}

Value splitlines(const Call& call) {
  const bool keep = call.bind({"keepends"}).flag(0, false);
  std::vector<Value> lines;
  each_line(call.text(), keep, [&](std::string_view line) { lines.push_back(call.made(line)); });
  return call.heap.sequence(std::move(lines));
}

Value starts_or_ends(const Call& call) {
  const Bound bound = call.bind({"prefix"});
  const std::string& text = call.text();
  const bool starts = std::string_view(call.name) == "startswith";
  const auto holds = [&](const Value& mark) {
    const std::string& wanted = text_of(mark, call.name);
    return starts ? text.starts_with(wanted) : text.ends_with(wanted);
  };
  const Value& mark = bound.need(0);
  if (!mark.is(Is::sequence) || mark.sequence->style != Sequence::Style::tuple)
    return Value::of(holds(mark));
  const auto& marks = mark.sequence->items;
  return Value::of(std::any_of(marks.begin(), marks.end(), holds));
}

Value replaced(const Call& call) {
  const Bound bound = call.bind({"old", "new", "count"});
  const std::string from = text_of(bound.need(0), call.name),
                    to = text_of(bound.need(1), call.name);
  int64_t left = bound.integer(2, -1);
  return call.heap.text(replace_all(call.text(), from, to, left, call.heap));
}

Value found(const Call& call) {
  const Bound bound = call.bind({"sub"});
  const std::string& text = call.text();
  const std::string& wanted = text_of(bound.need(0), call.name);
  const std::string_view name = call.name;
  if (name == "count") {
    if (wanted.empty()) return Value::of(length_of(text) + 1);
    int64_t count = 0;
    for (Search search(text, wanted, false); search.next() != std::string::npos;) ++count;
    return Value::of(count);
  }
  const size_t at = Search(text, wanted, name[0] == 'r').next();
  if (at == std::string::npos) {
    if (name == "index" || name == "rindex") problem("'{}': the text is not there", name);
    return Value::of(int64_t{-1});
  }
  return Value::of(length_of(std::string_view(text).substr(0, at)));
}

Value joined(const Call& call) {
  std::string out;
  bool first = true;
  for (const Value& item : items_of(call.bind({"iterable"}).need(0), call.heap)) {
    if (!first) out += call.text();
    first = false;
    out += text_of(item, call.name);
    call.heap.take(call.text().size() + item.text->text.size());
  }
  return call.heap.text(std::move(out));
}

Value cut_affix(const Call& call) {
  const std::string affix = text_of(call.bind({"affix"}).need(0), call.name);
  std::string_view text = call.text();
  if (std::string_view(call.name) == "removeprefix") {
    if (text.starts_with(affix)) text.remove_prefix(affix.size());
  } else if (text.ends_with(affix)) {
    text.remove_suffix(affix.size());
  }
  return call.made(text);
}

Value partitioned(const Call& call) {
  const std::string mark = text_of(call.bind({"sep"}).need(0), call.name);
  if (mark.empty()) problem("'{}': the separator is empty", call.name);
  const std::string_view text = call.text();
  const bool from_right = call.name[0] == 'r';
  const size_t at = Search(text, mark, from_right).next();
  std::vector<Value> parts;
  if (at == std::string_view::npos)
    parts = {call.made(from_right ? "" : text), call.made(""), call.made(from_right ? text : "")};
  else
    parts = {call.made(text.substr(0, at)), call.made(mark),
             call.made(text.substr(at + mark.size()))};
  return call.heap.sequence(std::move(parts), Sequence::Style::tuple);
}

Value changed_case(const Call& call) {
  call.bind({});
  const std::string_view name = call.name;
  call.heap.take(call.text().size());
  return call.heap.text(name == "lower"   ? lower(call.text())
                        : name == "upper" ? upper(call.text())
                        : name == "title" ? title(call.text())
                                          : capitalize(call.text()));
}

Value text_class(const Call& call) {
  call.bind({});
  const std::string& text = call.text();
  const std::string_view name = call.name;
  if (name == "isupper" || name == "islower") {
    const std::string up = upper(text), low = lower(text);
    return Value::of(up != low && text == (name == "isupper" ? up : low));
  }
  bool all = !text.empty();
  for (size_t i = 0; i < text.size();) {
    const int32_t code = code_at(text, i);
    if (name == "isspace")
      all = all && is_space(code);
    else
      all = all && is_class(code, name);
  }
  return Value::of(all);
}

Value mapping_view(const Call& call) {
  call.bind({});
  const std::string_view name = call.name;
  std::vector<Value> items;
  for (const auto& [key, value] : call.self.mapping->items)
    items.push_back(name == "keys"     ? key
                    : name == "values" ? value
                                       : call.heap.sequence({key, value}, Sequence::Style::tuple));
  return call.heap.sequence(std::move(items), Sequence::Style::view);
}

Value mapping_get(const Call& call) {
  const Bound bound = call.bind({"key", "default"});
  const Value* there = find(*call.self.mapping, bound.need(0), call.heap);
  if (there != nullptr) return *there;
  return bound.has(1) ? bound[1] : Value::none();
}

Value copied(const Call& call) {
  call.bind({});
  return call.self;
}

Value list_found(const Call& call) {
  const Bound bound = call.bind({"value"});
  const auto& items = call.self.sequence->items;
  const auto same = [&](const Value& item) { return equal(item, bound.need(0), call.heap); };
  if (std::string_view(call.name) == "count")
    return Value::of(static_cast<int64_t>(std::count_if(items.begin(), items.end(), same)));
  const auto at = std::find_if(items.begin(), items.end(), same);
  if (at == items.end()) problem("'index': the value is not in the list");
  return Value::of(static_cast<int64_t>(at - items.begin()));
}

Value cycled(const Call& call) {
  const auto& values = call.arguments.values;
  if (values.empty() || !call.arguments.named.empty()) problem("'cycle' needs values");
  const auto* loop = static_cast<const Loop*>(call.self.object);
  return values[static_cast<size_t>(loop->index) % values.size()];
}

struct Entry {
  const char* name;
  Is self;
  Value (*run)(const Call&);
};

constexpr Entry kMethods[] = {
    {"strip", Is::text, stripped},
    {"lstrip", Is::text, stripped},
    {"rstrip", Is::text, stripped},
    {"split", Is::text, split},
    {"rsplit", Is::text, split},
    {"splitlines", Is::text, splitlines},
    {"startswith", Is::text, starts_or_ends},
    {"endswith", Is::text, starts_or_ends},
    {"replace", Is::text, replaced},
    {"find", Is::text, found},
    {"rfind", Is::text, found},
    {"index", Is::text, found},
    {"rindex", Is::text, found},
    {"count", Is::text, found},
    {"join", Is::text, joined},
    {"removeprefix", Is::text, cut_affix},
    {"removesuffix", Is::text, cut_affix},
    {"partition", Is::text, partitioned},
    {"rpartition", Is::text, partitioned},
    {"lower", Is::text, changed_case},
    {"upper", Is::text, changed_case},
    {"title", Is::text, changed_case},
    {"capitalize", Is::text, changed_case},
    {"isspace", Is::text, text_class},
    {"isdigit", Is::text, text_class},
    {"isalpha", Is::text, text_class},
    {"isalnum", Is::text, text_class},
    {"isupper", Is::text, text_class},
    {"islower", Is::text, text_class},
    {"keys", Is::mapping, mapping_view},
    {"values", Is::mapping, mapping_view},
    {"items", Is::mapping, mapping_view},
    {"get", Is::mapping, mapping_get},
    {"copy", Is::mapping, copied},
    {"copy", Is::sequence, copied},
    {"count", Is::sequence, list_found},
    {"index", Is::sequence, list_found},
    {"cycle", Is::object, cycled},
};

}  // namespace

bool is_method(std::string_view name) {
  return std::any_of(std::begin(kMethods), std::end(kMethods),
                     [&](const Entry& entry) { return entry.name == name; });
}

Value call_method(const Method& method, const Arguments& arguments, Interpreter& run) {
  const auto* entry = std::find_if(std::begin(kMethods), std::end(kMethods), [&](const Entry& e) {
    return e.name == method.name && e.self == method.self.kind;
  });
  if (entry == std::end(kMethods))
    problem("the method '{}' of '{}' is not supported", method.name, type_name(method.self));
  if (method.self.is(Is::text)) run.heap().work(method.self.text->text.size());
  return entry->run({entry->name, method.self, arguments, run, run.heap()});
}

}  // namespace veomni::jinja
