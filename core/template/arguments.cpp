// Binds the arguments of a call, and arithmetic.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/template/interpreter.h"
#include "core/template/search.h"

namespace veomni::jinja {

using Is = Value::Kind;

Bound::Bound(const char* function, std::initializer_list<std::string_view> names,
             const Arguments& arguments)
    : function_(function), names_(names), values_(names.size()), given_(names.size()) {
  if (arguments.values.size() > names.size())
    problem("'{}' takes at most {} arguments, not {}", function, names.size(),
            arguments.values.size());
  for (size_t i = 0; i < arguments.values.size(); ++i) {
    values_[i] = arguments.values[i];
    given_[i] = true;
  }
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(names_.begin(), names_.end(), name);
    const auto i = static_cast<size_t>(found - names_.begin());
    if (found == names_.end()) problem("'{}' has no argument '{}'", function, name);
    if (given_[i]) problem("'{}' got two values for '{}'", function, name);
    values_[i] = value;
    given_[i] = true;
  }
}

const Value& Bound::need(size_t i) const {
  if (!given_[i]) problem("'{}' needs the argument '{}'", function_, names_[i]);
  return values_[i];
}

int64_t Bound::integer(size_t i, int64_t otherwise) const {
  if (!some(i)) return otherwise;
  if (!values_[i].is_integer())
    problem("'{}': '{}' must be an integer, not '{}'", function_, names_[i], type_name(values_[i]));
  return values_[i].as_integer();
}

std::string Bound::text(size_t i, const std::string& otherwise) const {
  if (!some(i)) return otherwise;
  if (!values_[i].is(Is::text))
    problem("'{}': '{}' must be a text, not '{}'", function_, names_[i], type_name(values_[i]));
  return values_[i].text->text;
}

const std::string& text_of(const Value& value, const char* what) {
  if (!value.is(Is::text)) problem("'{}' needs a text, not '{}'", what, type_name(value));
  if (value.text->safe)
    problem("'{}' on the result of 'safe' is not supported (Jinja would escape HTML)", what);
  return value.text->text;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to,
                        int64_t count, Heap& heap) {
  std::string out;
  size_t done = 0;
  for (size_t i = 0; count != 0 && i <= text.size(); --count) {
    const size_t found = find_text(text, from, i);
    if (found == std::string_view::npos) break;
    heap.take(found - done + to.size());
    out.append(text.substr(done, found - done)).append(to);
    done = found + from.size();
    i = done;
    if (from.empty() && i++ < text.size())  // before every character, and at the end
      while (i < text.size() && (static_cast<uint8_t>(text[i]) & 0xC0U) == 0x80U) ++i;
  }
  return out.append(text.substr(done));
}

namespace {

[[noreturn]] void unsuited(std::string_view operation, const Value& a, const Value& b) {
  for (const Value* value : {&a, &b})
    if (value->is(Is::undefined) && value->text != nullptr) problem("{}", value->text->text);
  problem("'{}' does not go with '{}' and '{}'", operation, type_name(a), type_name(b));
}

[[noreturn]] void too_large() { problem("the result cannot be held in 64 bits"); }

int64_t floor_divided(int64_t a, int64_t b) {
  if (b == -1 && a == INT64_MIN) too_large();
  return a / b - ((a % b != 0 && (a % b < 0) != (b < 0)) ? 1 : 0);
}

int64_t power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  if (base == 0 || base == 1 || base == -1)
    return exponent == 0 ? 1 : base == -1 && exponent % 2 == 0 ? 1 : base;
  for (int64_t i = 0; i < exponent; ++i)
    if (__builtin_mul_overflow(result, base, &result)) too_large();
  return result;
}

Value integers(std::string_view operation, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  if (operation == "+") {
    overflow = __builtin_add_overflow(a, b, &result);
  } else if (operation == "-") {
    overflow = __builtin_sub_overflow(a, b, &result);
  } else if (operation == "*") {
    overflow = __builtin_mul_overflow(a, b, &result);
  } else if (operation == "**") {
    if (b < 0 && a == 0) problem("0 has no negative power");
    if (b < 0) return Value::of(std::pow(static_cast<double>(a), static_cast<double>(b)));
    result = power(a, b);
  } else {
    if (b == 0) problem("division by zero");
    if (operation == "/") return Value::of(static_cast<double>(a) / static_cast<double>(b));
    if (operation == "//") return Value::of(floor_divided(a, b));
    result = b == -1 ? 0 : a % b;
    if (result != 0 && (result < 0) != (b < 0)) result += b;
  }
  if (overflow) too_large();
  return Value::of(result);
}

Value reals(std::string_view operation, double a, double b) {
  if (operation == "+") return Value::of(a + b);
  if (operation == "-") return Value::of(a - b);
  if (operation == "*") return Value::of(a * b);
  if (operation == "**") {
    const double result = std::pow(a, b);
    if (!std::isfinite(result) && std::isfinite(a) && std::isfinite(b))
      problem("the power is no finite number");
    if (std::isnan(result)) problem("the power is no real number");
    return Value::of(result);
  }
  if (b == 0) problem("division by zero");
  if (operation == "/") return Value::of(a / b);
  double rest = std::fmod(a, b);
  if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
  if (operation == "%") return Value::of(rest == 0 ? std::copysign(0.0, b) : rest);
  const double quotient = (a - rest) / b, floor = std::floor(quotient);
  if (quotient == 0) return Value::of(std::copysign(0.0, a / b));
  return Value::of(quotient - floor > 0.5 ? floor + 1 : floor);
}

Value repeated(const Value& value, int64_t times, Heap& heap) {
  const bool text = value.is(Is::text);
  const size_t each =
      text ? text_of(value, "*").size() : value.sequence->items.size() * sizeof(Value);
  times = std::max<int64_t>(times, 0);
  if (each > 0 && static_cast<size_t>(times) > kHeapBytes / each)
    problem("needs more than {} MB; simplify the template", kHeapBytes >> 20);
  heap.take(each * static_cast<size_t>(times));
  if (text) {
    std::string out;
    for (int64_t i = 0; each > 0 && i < times; ++i) out += value.text->text;
    return heap.text(std::move(out));
  }
  std::vector<Value> items;
  for (int64_t i = 0; each > 0 && i < times; ++i)
    items.insert(items.end(), value.sequence->items.begin(), value.sequence->items.end());
  return heap.sequence(std::move(items), value.sequence->style);
}

bool repeatable(const Value& value) {
  return value.is(Is::text) ||
         (value.is(Is::sequence) && value.sequence->style <= Sequence::Style::tuple);
}

}  // namespace

Value binary(std::string_view operation, const Value& a, const Value& b, Heap& heap) {
  if (a.is_integer() && b.is_integer()) return integers(operation, a.as_integer(), b.as_integer());
  if (a.is_number() && b.is_number()) return reals(operation, a.as_real(), b.as_real());
  if (operation == "+" && a.is(Is::text) && b.is(Is::text)) {
    heap.take(a.text->text.size() + b.text->text.size());
    return heap.text(text_of(a, "+") + text_of(b, "+"));
  }
  if (operation == "+" && repeatable(a) && repeatable(b) && a.kind == b.kind &&
      a.sequence->style == b.sequence->style) {
    std::vector<Value> items = a.sequence->items;
    items.insert(items.end(), b.sequence->items.begin(), b.sequence->items.end());
    return heap.sequence(std::move(items), a.sequence->style);
  }
  if (operation == "*" && repeatable(a) && b.is_integer()) return repeated(a, b.as_integer(), heap);
  if (operation == "*" && repeatable(b) && a.is_integer()) return repeated(b, a.as_integer(), heap);
  if (operation == "%" && a.is(Is::text)) problem("formatting with '%' is not supported");
  unsuited(operation, a, b);
}

}  // namespace veomni::jinja
