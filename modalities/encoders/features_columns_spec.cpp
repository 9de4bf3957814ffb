#include "modalities/encoders/features_columns_spec.h"

#include <algorithm>

#include "core/data/text.h"
#include "core/error.h"

namespace veomni {
namespace {

int64_t whole_number(const Json& value, const std::string& where, int64_t least, int64_t most) {
  const bool fits = value.is_number_integer() && value >= least && value <= most;
  require<ConfigError>(fits, "{}: must be an integer from {} to {}", where, least, most);
  return value.get<int64_t>();
}

std::string text_of(const Json& value, const std::string& where,
                    const std::vector<std::string>& choices) {
  const bool fits =
      value.is_string() &&
      (choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end());
  require<ConfigError>(fits, "{}: must be {}", where,
                       choices.empty() ? "a string" : "one of: " + join_names(choices));
  return value.get<std::string>();
}

void read_key(const std::string& key, const Json& value, const std::string& where,
              FeatureColumn& column) {
  constexpr int64_t kMost = int64_t{1} << 31;
  if (key == "type") {
    column.number = text_of(value, where, {"number", "category"}) == "number";
  } else if (key == "transform") {
    column.log1p = text_of(value, where, {"none", "log1p"}) == "log1p";
  } else if (key == "bins") {
    column.bins = whole_number(value, where, 2, 65536);
  } else if (key == "table") {
    column.table = text_of(value, where, {});
  } else if (key == "min_count") {
    column.min_count = whole_number(value, where, 1, kMost);
  } else if (key == "separator") {
    column.separators = text_of(value, where, {});
  } else if (key == "list") {
    require<ConfigError>(value.is_object() && value.size() == 1 && value.contains("max"),
                         "{}: must be {{\"max\": n}}", where);
    column.list_max = whole_number(value.at("max"), where + ".max", 1, kMost);
  } else {
    throw ConfigError(fmt::format(
        "{}: unknown key; known: type, transform, bins, table, min_count, list, separator", where));
  }
}

// Keys that would have no effect are errors.
void check_column(const Json& keys, const FeatureColumn& column, const std::string& where) {
  const auto forbid = [&](bool wrong, const char* key, const char* why) {
    require<ConfigError>(!wrong || !keys.contains(key), "{}.{}: {}", where, key, why);
  };
  for (const char* key : {"table", "list", "min_count", "separator"})
    forbid(column.number, key,
           "only categories have it; set \"type\": \"category\", or leave it out");
  for (const char* key : {"transform", "bins"})
    forbid(!column.number, key, "only numbers have it; set \"type\": \"number\", or leave it out");
  forbid(column.list_max == 0, "separator",
         "only lists have it; add \"list\": {\"max\": n}, or leave it out");
}

}  // namespace

std::vector<FeatureColumn> read_feature_columns(const PartConfig& config,
                                                const std::string& where) {
  const auto found = config.keys.find("columns");
  require<ConfigError>(found != config.keys.end() && found->is_object() && !found->empty(),
                       "{}.columns: must name at least one column", where);
  std::vector<FeatureColumn> columns;
  for (const auto& [name, value] : found->items()) {
    const std::string here = where + ".columns." + name;
    FeatureColumn column{.name = name};
    if (value.is_string()) {
      read_key("type", value, here, column);
    } else {
      require<ConfigError>(value.is_object(), "{}: must be \"number\", \"category\" or an object",
                           here);
      column.number = value.contains("transform") || value.contains("bins");
      require<ConfigError>(value.contains("type") || column.number || value.contains("table") ||
                               value.contains("list"),
                           "{}: needs \"type\": \"number\" or \"category\"", here);
      for (const auto& [key, item] : value.items()) read_key(key, item, here + "." + key, column);
      check_column(value, column, here);
    }
    columns.push_back(column);
  }
  return columns;
}

}  // namespace veomni
