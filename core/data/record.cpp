#include "core/data/record.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "core/data/text.h"

namespace veomni {
namespace {

bool parse_number(std::string_view text, double& number) {
  text = trim(text);
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(number);
}

}  // namespace

const Value* Record::find(std::string_view name) const {
  size_t hint = 0;
  return find(name, hint);
}

const Value* Record::find(std::string_view name, size_t& hint) const {
  const size_t count = names ? names->size() : 0;
  for (size_t step = 0; step < count; ++step) {
    const size_t i = hint + step < count ? hint + step : hint + step - count;
    if ((*names)[i] != name) continue;
    hint = i + 1 < count ? i + 1 : 0;
    return &values[i];
  }
  return nullptr;
}

bool is_missing(const Value* value) {
  if (value == nullptr || std::holds_alternative<std::monostate>(*value)) return true;
  const auto* text = std::get_if<std::string>(value);
  return text != nullptr && trim(*text).empty();
}

bool to_number(const Value& value, double& number) {
  if (const auto* text = std::get_if<std::string>(&value)) return parse_number(*text, number);
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    number = static_cast<double>(*integer);
    return true;
  }
  const auto* real = std::get_if<double>(&value);
  if (real == nullptr || !std::isfinite(*real)) return false;
  number = *real;
  return true;
}

std::string to_category(const Value& value) {
  std::string scratch;
  return std::string(to_category(value, scratch));
}

std::string_view to_category(const Value& value, std::string& scratch) {
  if (const auto* text = std::get_if<std::string>(&value)) return trim(*text);
  if (const auto* integer = std::get_if<int64_t>(&value)) return scratch = std::to_string(*integer);
  if (const auto* real = std::get_if<double>(&value)) return scratch = fmt::format("{}", *real);
  return {};
}

}  // namespace veomni
