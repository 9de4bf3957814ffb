// Filters of single values: texts, numbers, JSON.
#include "core/template/filters.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/template/characters.h"

namespace veomni::jinja {
namespace {

using Is = Value::Kind;

Value to_json(const FilterCall& call) {
  const Bound bound = call.bind({"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = bound.flag(0, false);
  style.sort_keys = bound.flag(3, false);
  if (bound.some(1)) {
    style.indented = true;
    style.item_separator.pop_back();  // the blank: the line ends there
    if (bound[1].is(Is::text))
      style.indent = bound[1].text->text;
    else
      style.indent =
          std::string(static_cast<size_t>(std::clamp<int64_t>(bound.integer(1, 0), 0, 256)), ' ');
  }
  if (bound.some(2)) {
    const auto pair = items_of(bound[2], call.heap);
    if (pair.size() != 2) problem("'tojson': separators are a pair of texts");
    style.item_separator = text_of(pair[0], call.name);
    style.key_separator = text_of(pair[1], call.name);
  }
  return call.heap.text(json_text(call.input, style, call.heap));
}

Value trimmed(const FilterCall& call) {
  const Bound bound = call.bind({"chars"});
  const std::string characters = bound.text(0, ""), text = call.text();
  if (bound.some(0) && characters.empty()) return call.heap.text(text);
  return call.heap.text(std::string(strip(text, characters, true, true)));
}

// Jinja's own rule: words begin behind white space, hyphens and opening brackets.
std::string title_words(std::string_view text) {
  std::string out;
  bool begins = true;
  for (size_t i = 0, start = 0; i < text.size(); start = i) {
    const int32_t code = code_at(text, i);
    const std::string_view one = text.substr(start, i - start);
    const bool between =
        is_space(code) || (code < 0x80 && std::string_view("-({[<").find(static_cast<char>(code)) !=
                                              std::string_view::npos);
    out += begins && !between ? upper(one) : lower(one);
    begins = between;
  }
  return out;
}

Value changed_case(const FilterCall& call) {
  call.bind({});
  const std::string text = call.text();
  call.heap.take(text.size());
  return call.heap.text(call.name[0] == 'l'   ? lower(text)
                        : call.name[0] == 'u' ? upper(text)
                        : call.name[0] == 't' ? title_words(text)
                                              : capitalize(text));
}

Value replaced(const FilterCall& call) {
  const Bound bound = call.bind({"old", "new", "count"});
  const std::string from = to_text(bound.need(0), call.heap),
                    to = to_text(bound.need(1), call.heap);
  return call.heap.text(replace_all(call.text(), from, to, bound.integer(2, -1), call.heap));
}

Value defaulted(const FilterCall& call) {
  const Bound bound = call.bind({"default_value", "boolean"});
  const bool take = call.input.is(Is::undefined) || (bound.flag(1, false) && !truth(call.input));
  if (!take) return call.input;
  return bound.has(0) ? bound[0] : call.heap.text("");
}

Value as_text(const FilterCall& call) {
  call.bind({});
  return call.input.is(Is::text) ? call.input : call.heap.text(call.text());
}

Value marked_safe(const FilterCall& call) {
  call.bind({});
  return call.heap.text(to_text(call.input, call.heap), true);
}

// float(text) of Python, for the forms that occur.
bool parse_real(std::string_view text, double& value) {
  text = strip(text, {}, true, true);
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text.find_first_of("xXpP") != std::string_view::npos) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_integer(std::string_view text, int64_t base, int64_t& value) {
  text = strip(text, {}, true, true);
  if (text.starts_with('+')) text.remove_prefix(1);
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] != '_' || i == 0 || i + 1 == text.size() || text[i - 1] == '_') digits += text[i];
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, static_cast<int>(base));
  if (error == std::errc::result_out_of_range) problem("the integer cannot be held in 64 bits");
  return error == std::errc() && end == digits.data() + digits.size();
}

[[noreturn]] void undefined_input(const FilterCall& call) {
  problem("{}", call.input.text != nullptr ? call.input.text->text : "the value is undefined");
}

Value as_integer(const FilterCall& call) {
  const Bound bound = call.bind({"default", "base"});
  const Value otherwise = bound.has(0) ? bound[0] : Value::of(int64_t{0});
  const int64_t base = bound.integer(1, 10);
  if (base < 2 || base > 36) problem("'int': the base must be 2 to 36");
  if (call.input.is(Is::undefined)) undefined_input(call);
  if (call.input.is_integer()) return Value::of(call.input.as_integer());
  double real = 0;
  if (call.input.is(Is::text)) {
    int64_t value = 0;
    if (parse_integer(call.input.text->text, base, value)) return Value::of(value);
    if (!parse_real(call.input.text->text, real)) return otherwise;
  } else if (call.input.is(Is::real)) {
    real = call.input.real;
  } else {
    return otherwise;
  }
  if (!std::isfinite(real)) return otherwise;
  if (std::abs(real) >= 9.2e18) problem("the integer cannot be held in 64 bits");
  return Value::of(static_cast<int64_t>(real));
}

Value as_real(const FilterCall& call) {
  const Bound bound = call.bind({"default"});
  if (call.input.is(Is::undefined)) undefined_input(call);
  if (call.input.is_number()) return Value::of(call.input.as_real());
  double value = 0;
  if (call.input.is(Is::text) && parse_real(call.input.text->text, value)) return Value::of(value);
  return bound.has(0) ? bound[0] : Value::of(0.0);
}

Value absolute(const FilterCall& call) {
  call.bind({});
  if (call.input.is(Is::real)) return Value::of(std::abs(call.input.real));
  if (!call.input.is_integer()) problem("'abs' needs a number, not '{}'", type_name(call.input));
  const Value zero = Value::of(int64_t{0}), same = Value::of(call.input.as_integer());
  return same.integer < 0 ? binary("-", zero, same, call.heap) : same;
}

Value rounded(const FilterCall& call) {
  const Bound bound = call.bind({"precision", "method"});
  const int64_t precision = bound.integer(0, 0);
  const std::string method = bound.text(1, "common");
  if (precision < 0 || precision > 300) problem("'round': the precision must be 0 to 300");
  if (!call.input.is_number()) problem("'round' needs a number, not '{}'", type_name(call.input));
  if (method == "common" && call.input.is_integer()) return Value::of(call.input.as_integer());
  const double value = call.input.as_real(), scale = std::pow(10.0, static_cast<double>(precision));
  if (method == "ceil") return Value::of(std::ceil(value * scale) / scale);
  if (method == "floor") return Value::of(std::floor(value * scale) / scale);
  if (method != "common") problem("'round': the method is 'common', 'ceil' or 'floor'");
  if (!std::isfinite(value)) return call.input;
  const std::string fixed = fmt::format("{:.{}f}", value, precision);
  double result = 0;
  std::from_chars(fixed.data(), fixed.data() + fixed.size(), result);
  return Value::of(result);
}

Value indented(const FilterCall& call) {
  const Bound bound = call.bind({"width", "first", "blank"});
  const bool blank = bound.flag(2, false);
  const std::string by =
      bound.has(0) && bound[0].is(Is::text)
          ? bound[0].text->text
          : std::string(static_cast<size_t>(std::clamp<int64_t>(bound.integer(0, 4), 0, 1000)),
                        ' ');
  std::string out = bound.flag(1, false) ? by : "";
  bool first = true;
  each_line(text_of(call.input, call.name) + "\n", false, [&](std::string_view line) {
    call.heap.take(by.size() + line.size() + 1);
    if (!first) out += "\n" + (blank || !line.empty() ? by : "");
    first = false;
    out += line;
  });
  return call.heap.text(std::move(out));
}

constexpr FilterEntry kFilters[] = {
    {"tojson", to_json},     {"trim", trimmed},       {"lower", changed_case},
    {"upper", changed_case}, {"title", changed_case}, {"capitalize", changed_case},
    {"replace", replaced},   {"default", defaulted},  {"d", defaulted},
    {"string", as_text},     {"safe", marked_safe},   {"int", as_integer},
    {"float", as_real},      {"abs", absolute},       {"round", rounded},
    {"indent", indented},
};

const FilterEntry* filter_entry(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFilters), std::end(kFilters),
                                   [&](const FilterEntry& entry) { return entry.name == name; });
  return found != std::end(kFilters) ? found : sequence_filter(name);
}

}  // namespace

bool is_filter(std::string_view name) { return filter_entry(name) != nullptr; }

Value apply_filter(std::string_view name, const Value& input, const Arguments& arguments,
                   Interpreter& run) {
  const FilterEntry* entry = filter_entry(name);
  if (entry == nullptr) problem("the filter '{}' is not supported", name);
  if (input.is(Is::text)) run.heap().work(input.text->text.size());
  return entry->run({entry->name.data(), input, arguments, run, run.heap()});
}

}  // namespace veomni::jinja
