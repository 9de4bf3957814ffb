#include "core/data/source_tools.h"

#include <algorithm>
#include <filesystem>

#include "core/data/text.h"
#include "core/error.h"

namespace veomni {

void RecordOrigins::start_file(const std::string& path) {
  paths_.push_back(path);
  first_.push_back(size());
}

const std::string& RecordOrigins::path(int64_t index) const {
  const auto after = std::upper_bound(first_.begin(), first_.end(), index);
  return paths_[static_cast<size_t>(after - first_.begin()) - 1];
}

std::string RecordOrigins::where(int64_t index) const {
  return path(index) + ":" + std::to_string(lines_[static_cast<size_t>(index)]);
}

bool LineReader::next(std::string_view& line) {
  if (rest_.empty()) return false;
  const size_t end = rest_.find('\n');
  line = rest_.substr(0, end);
  rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  ++number_;
  return true;
}

std::vector<std::string> string_list(const SourceConfig& config, const std::string& key) {
  const auto found = config.keys.find(key);
  if (found == config.keys.end() || found->is_null()) return {};
  if (found->is_string()) return {found->get<std::string>()};
  const bool strings = found->is_array() && std::all_of(found->begin(), found->end(),
                                                        [](auto& x) { return x.is_string(); });
  require<ConfigError>(strings, "data.sources.{}.{}: must be a string or a list of strings",
                       config.name, key);
  return found->get<std::vector<std::string>>();
}

void require_field(const SourceConfig& config, const std::string& path, const std::string& name,
                   const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  throw ConfigError(fmt::format("{}: has no field '{}', which data.sources.{} uses; it has: {}",
                                path, name, config.name, join_names(known, 60)));
}

void start_record(Record& record, const std::shared_ptr<const std::vector<std::string>>& names,
                  int64_t index) {
  record.names = names;
  record.index = index;
  record.values.resize(names->size());
}

void assign_text(Value& value, std::string_view text) {
  if (auto* there = std::get_if<std::string>(&value))
    there->assign(text);
  else
    value.emplace<std::string>(text);
}

std::string path_below(const std::string& folder, const std::string& path) {
  const std::filesystem::path given(path);
  return given.is_absolute() ? path : (std::filesystem::path(folder) / given).string();
}

}  // namespace veomni
