#pragma once
// What the sources share: where records come from, and typed access to their keys.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/record.h"
#include "core/json.h"
#include "core/recipe/recipe.h"

namespace veomni {

/// File and line of each record.
class RecordOrigins {
 public:
  void start_file(const std::string& path);
  void add(int64_t line) { lines_.push_back(static_cast<uint32_t>(line)); }
  int64_t size() const { return static_cast<int64_t>(lines_.size()); }
  std::string where(int64_t index) const;
  const std::string& path(int64_t index) const;

 private:
  std::vector<std::string> paths_;
  std::vector<int64_t> first_;  ///< first record of each path
  std::vector<uint32_t> lines_;
};

/// Goes over the lines of a text without their ends (LF or CRLF).
class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {}
  bool next(std::string_view& line);
  int64_t number() const { return number_; }  ///< of the line last returned, from 1

 private:
  std::string_view rest_;
  int64_t number_ = 0;
};

/// A key that holds one string or a list of them; absent or null: none. Throws ConfigError on other
/// types.
std::vector<std::string> string_list(const SourceConfig& config, const std::string& key);

/// Throws ConfigError unless `name` is among `known`, listing those.
void require_field(const SourceConfig& config, const std::string& path, const std::string& name,
                   const std::vector<std::string>& known);

/// Sets names and index and makes room for the values.
void start_record(Record& record, const std::shared_ptr<const std::vector<std::string>>& names,
                  int64_t index);

/// Copies, into the memory of a string that is there already when both are strings.
void assign_text(Value& value, std::string_view text);

/// `path` as it is when absolute, else below `folder`.
std::string path_below(const std::string& folder, const std::string& path);

}  // namespace veomni
