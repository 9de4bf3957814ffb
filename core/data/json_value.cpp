#include "core/data/json_value.h"

#include <algorithm>
#include <limits>

#include "core/data/text.h"
#include "core/error.h"

namespace veomni {
namespace {

template <class Predicate>
bool all_items(const Json& array, Predicate predicate) {
  return std::all_of(array.begin(), array.end(), predicate);
}

bool fits_int64(const Json& item) {
  constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  return item.is_number_integer() && (!item.is_number_unsigned() || item.get<uint64_t>() <= kMost);
}

}  // namespace

Value json_value(const Json& item, const std::string& where, const std::string& field) {
  if (item.is_null()) return std::monostate{};
  if (item.is_string()) return item.get<std::string>();
  if (item.is_boolean()) return static_cast<int64_t>(item.get<bool>());
  if (fits_int64(item)) return item.get<int64_t>();
  if (item.is_number()) return item.get<double>();
  if (item.is_array() && all_items(item, fits_int64)) return item.get<std::vector<int64_t>>();
  if (item.is_array() && all_items(item, [](const Json& x) { return x.is_string(); }))
    return item.get<std::vector<std::string>>();
  throw ConfigError(fmt::format(
      "{}: field '{}' is {}; give a string, a number, or a list of only integers or only strings",
      where, field, item.is_object() ? "an object" : "a list of other or mixed things"));
}

Json parse_json(std::string_view text, const std::string& where) {
  const auto shallow = [&](int depth, Json::parse_event_t, Json&) {
    require<ConfigError>(depth <= static_cast<int>(kJsonDepth),
                         "{}: nested deeper than {} levels; flatten it", where, kJsonDepth);
    return true;
  };
  try {
    return Json::parse(text, shallow);
  } catch (const Json::parse_error& error) {
    throw ConfigError(
        fmt::format("{}: is not valid JSON near byte {}; correct it", where, error.byte));
  } catch (const Json::out_of_range& error) {  // "… number overflow parsing '1e999'"
    const std::string words = error.what();
    throw ConfigError(fmt::format("{}: holds the number {}, which is out of range; correct it",
                                  where, shown(words.substr(words.find('\'')))));
  }
}

}  // namespace veomni
