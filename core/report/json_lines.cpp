#include "core/report/json_lines.h"

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/checkpoint/file_io.h"
#include "core/error.h"

namespace veomni {
namespace fs = std::filesystem;
namespace {

void append_json(const Json& value, std::string& out) {
  if (value.is_number_float()) {
    const double number = value.get<double>();
    out += std::isfinite(number) ? fmt::format("{:.9g}", number) : "null";
  } else if (value.is_object()) {
    const char* separator = "{";
    for (const auto& [key, item] : value.items()) {
      out += separator + Json(key).dump(-1, ' ', false, Json::error_handler_t::replace) + ":";
      append_json(item, out);
      separator = ",";
    }
    out += value.empty() ? "{}" : "}";
  } else if (value.is_array()) {
    const char* separator = "[";
    for (const auto& item : value) {
      out += separator;
      append_json(item, out);
      separator = ",";
    }
    out += value.empty() ? "[]" : "]";
  } else {
    out += value.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
}

/// Calls `use(line, object)` for every whole line.
template <class Use>
void for_each_line(const fs::path& path, const Use& use) {
  if (!path_exists(path)) return;
  const auto text = read_text_file(path);
  size_t begin = 0;
  for (int64_t number = 1; begin < text.size(); ++number) {
    const auto end = text.find('\n', begin);
    if (end == text.npos) return;
    const auto line = std::string_view(text).substr(begin, end - begin);
    auto object = Json::parse(line, nullptr, false);
    require<ConfigError>(object.is_object(),
                         "{}:{}: is not a JSON object; remove the line to go on", path.string(),
                         number);
    use(line, std::move(object));
    begin = end + 1;
  }
}

int64_t step_of(const Json& object) {
  const auto step = object.find("step");
  return step != object.end() && step->is_number_integer() ? step->get<int64_t>() : 0;
}

void flatten(const Json& value, const std::string& path,
             std::vector<std::pair<std::string, double>>& out) {
  if (value.is_object()) {
    for (const auto& [key, item] : value.items())
      flatten(item, path.empty() ? key : path + "/" + key, out);
  } else if (value.is_number()) {
    out.emplace_back(path, value.get<double>());
  } else if (value.is_null()) {
    out.emplace_back(path, std::numeric_limits<double>::quiet_NaN());
  }
}

/// 1234567 → 1.2M: three digits and the largest unit that leaves something before the point.
std::string scaled(double value, double base, const std::array<const char*, 5>& units) {
  size_t unit = 0;
  while (std::fabs(value) >= base * 0.9995 && unit + 1 < units.size()) {
    value /= base;
    ++unit;
  }
  const bool whole = unit == 0 || std::fabs(value) >= 99.95;
  return whole ? fmt::format("{:.0f}{}", value, units[unit])
               : fmt::format("{:.1f}{}", value, units[unit]);
}

}  // namespace

std::string json_line(const Json& value) {
  std::string line;
  append_json(value, line);
  return line;
}

JsonLines::JsonLines(fs::path path, int64_t first_step)
    : path_(std::move(path)), file_(nullptr, &std::fclose) {
  std::string kept;
  if (first_step > 0) {
    for_each_line(path_, [&](std::string_view line, const Json& object) {
      if (step_of(object) <= first_step) kept.append(line).append("\n");
    });
  }
  write_file_atomically(path_, kept);
  file_.reset(std::fopen(path_.c_str(), "ab"));
  require<ConfigError>(file_ != nullptr, "{}: cannot open: {}", path_.string(),
                       std::strerror(errno));
}

std::string JsonLines::append(const Json& value) {
  auto line = json_line(value);
  line += '\n';
  const bool ok = std::fwrite(line.data(), 1, line.size(), file_.get()) == line.size() &&
                  std::fflush(file_.get()) == 0;
  require<ConfigError>(ok, "{}: cannot write: {}", path_.string(), std::strerror(errno));
  line.pop_back();
  return line;
}

std::vector<Json> read_json_lines(const fs::path& path) {
  std::vector<Json> objects;
  for_each_line(path, [&](std::string_view, Json object) { objects.push_back(std::move(object)); });
  return objects;
}

std::vector<std::pair<std::string, double>> flatten_numbers(const Json& value) {
  std::vector<std::pair<std::string, double>> result;
  flatten(value, "", result);
  return result;
}

std::string number_text(double value) {
  if (std::isnan(value)) return "–";
  return fmt::format("{:.4g}", value);
}

std::string count_text(double value) { return scaled(value, 1000, {"", "k", "M", "G", "T"}); }
std::string bytes_text(double bytes) {
  return scaled(bytes, 1024, {" B", " KB", " MB", " GB", " TB"});
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e9) return "–";
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string printable_text(const std::string& text, bool multiline) {
  // The JSON library repairs UTF-8: what it writes with `replace`, it reads back valid.
  auto valid = Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace))
                   .get<std::string>();
  std::string result;
  for (const char c : valid) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (multiline && (c == '\n' || c == '\t')) {
      result += c;
    } else if (c == '\n' || c == '\t') {
      result += ' ';
    } else {
      result += control ? "·" : std::string(1, c);
    }
  }
  return result;
}

}  // namespace veomni
