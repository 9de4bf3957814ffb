// Format `csv`, parsed once into compact storage: the wanted cells end to end, and where each ends.
#include <algorithm>
#include <set>

#include "core/data/file_bytes.h"
#include "core/data/source.h"
#include "core/data/source_tools.h"
#include "core/data/text.h"
#include "core/error.h"

namespace veomni {
namespace {

// Rows of RFC 4180 text. A quote opens a quoted cell only at the cell's start; elsewhere it is a
// character.
class CsvReader {
 public:
  CsvReader(const std::string& path, std::string_view text, char delimiter)
      : path_(path), text_(text), delimiter_(delimiter) {
    if (text_.substr(0, 3) == "\xEF\xBB\xBF") at_ = 3;
  }

  // Reads the next row; false at the end of the text. Blank lines at the very end are no rows.
  bool next() {
    row_line_ = line_ + 1;
    cells_.clear();
    ends_.clear();
    if (text_.find_first_not_of("\r\n", at_) == std::string_view::npos) return false;
    while (read_cell()) {
    }
    return true;
  }

  size_t size() const { return ends_.size(); }
  std::string_view cell(size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(cells_).substr(begin, ends_[i] - begin);
  }
  int64_t row_line() const { return row_line_; }

 private:
  bool read_cell() {  // true when the row goes on
    if (at_ < text_.size() && text_[at_] == '"')
      read_quoted();
    else
      read_plain();
    ends_.push_back(cells_.size());
    if (at_ < text_.size() && text_[at_] == delimiter_) return ++at_, true;
    if (at_ < text_.size() && text_[at_] == '\r') ++at_;
    if (at_ < text_.size() && text_[at_] == '\n') ++at_;
    ++line_;
    return false;
  }

  void read_plain() {
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != delimiter_ && text_[at_] != '\n' && !at_line_end())
      ++at_;
    cells_ += text_.substr(begin, at_ - begin);
  }

  bool at_line_end() const {
    return text_[at_] == '\r' && (at_ + 1 == text_.size() || text_[at_ + 1] == '\n');
  }

  void read_quoted() {
    for (++at_;;) {
      const size_t quote = text_.find('"', at_);
      require<ConfigError>(quote != std::string_view::npos,
                           "{}:{}: a quoted cell is never closed; add the closing quote", path_,
                           row_line_);
      const std::string_view part = text_.substr(at_, quote - at_);
      cells_ += part;
      line_ += std::count(part.begin(), part.end(), '\n');
      at_ = quote + 1;
      if (at_ >= text_.size() || text_[at_] != '"') break;
      cells_ += '"', ++at_;
    }
    require<ConfigError>(
        at_ >= text_.size() || text_[at_] == delimiter_ || text_[at_] == '\n' || at_line_end(),
        "{}:{}: text follows a closing quote; double quotes inside a cell", path_, line_ + 1);
  }

  const std::string& path_;
  std::string_view text_;
  char delimiter_;
  size_t at_ = 0;
  int64_t line_ = 0, row_line_ = 0;
  std::string cells_;
  std::vector<size_t> ends_;
};

class CsvSource : public Source {
 public:
  CsvSource(const SourceConfig& config, const std::vector<std::string>& fields)
      : config_(config), names_(std::make_shared<const std::vector<std::string>>(fields)) {
    read_keys();
    for (const auto& path : config.paths) add_file(path);
  }

  int64_t size() const override { return origins_.size(); }
  std::string where(int64_t index) const override { return origins_.where(index); }

  void read(int64_t index, Record& record, bool) const override {
    start_record(record, names_, index);
    const size_t width = names_->size(), row = static_cast<size_t>(index);
    const char* cells = cells_.data() + starts_[row];
    uint32_t begin = 0;
    for (size_t i = 0; i < width; ++i) {
      const uint32_t end = ends_[row * width + i];
      if (begin == end)
        record.values[i] = std::monostate{};
      else
        assign_text(record.values[i], {cells + begin, end - begin});
      begin = end;
    }
  }

 private:
  void read_keys() {
    const auto text = [&](const char* key, const char* fallback) {
      const auto list = string_list(config_, key);
      return list.empty() ? std::string(fallback) : list.front();
    };
    const std::string delimiter = text("delimiter", ",");
    require<ConfigError>(delimiter.size() == 1 && delimiter != "\"" && delimiter != "\n",
                         "data.sources.{}.delimiter: must be one character, for example \"\\t\"",
                         config_.name);
    delimiter_ = delimiter[0];
    missing_ = string_list(config_, "missing");
    columns_ = string_list(config_, "columns");
    header_ = columns_.empty();
    if (const auto found = config_.keys.find("header");
        found != config_.keys.end() && !found->is_null()) {
      require<ConfigError>(found->is_boolean(), "data.sources.{}.header: must be true or false",
                           config_.name);
      header_ = found->get<bool>();
    }
    require<ConfigError>(header_ || !columns_.empty(),
                         "data.sources.{}.header: is false; name the columns in `columns`",
                         config_.name);
  }

  void add_file(const std::string& path) {
    const std::string bytes = read_file_bytes(path);
    CsvReader reader(path, bytes, delimiter_);
    origins_.start_file(path);
    std::vector<std::string> names = columns_;
    if (header_ && reader.next() && columns_.empty())
      for (size_t i = 0; i < reader.size(); ++i) names.emplace_back(trim(reader.cell(i)));
    const auto wanted = find_columns(path, names);
    while (reader.next()) {
      require<ConfigError>(
          reader.size() == names.size(),
          "{}:{}: {} cells where {} columns are expected; quote cells that hold '{}'", path,
          reader.row_line(), reader.size(), names.size(), delimiter_);
      add_row(reader, wanted);
    }
  }

  // Where each wanted field stands in this file.
  std::vector<size_t> find_columns(const std::string& path, const std::vector<std::string>& names) {
    require<ConfigError>(!names.empty(), "{}: is empty; give a file with data for data.sources.{}",
                         path, config_.name);
    std::set<std::string> once;
    for (const auto& name : names)
      require<ConfigError>(once.insert(name).second,
                           "{}: column '{}' appears twice; rename one, or give `columns`", path,
                           shown(name));
    std::vector<size_t> wanted;
    for (const auto& field : *names_) {
      require_field(config_, path, field, names);
      wanted.push_back(
          static_cast<size_t>(std::find(names.begin(), names.end(), field) - names.begin()));
    }
    return wanted;
  }

  void add_row(const CsvReader& reader, const std::vector<size_t>& wanted) {
    const size_t start = cells_.size();
    starts_.push_back(start);
    for (const size_t column : wanted) {
      const std::string_view cell = reader.cell(column), inner = trim(cell);
      const bool missing =
          inner.empty() || std::find(missing_.begin(), missing_.end(), inner) != missing_.end();
      if (!missing) cells_ += cell;
      ends_.push_back(static_cast<uint32_t>(cells_.size() - start));
    }
    require<ConfigError>(cells_.size() - start < (size_t{1} << 32),
                         "data.sources.{}: a row has over 4 GiB", config_.name);
    origins_.add(reader.row_line());
  }

  const SourceConfig config_;
  std::shared_ptr<const std::vector<std::string>> names_;
  char delimiter_ = ',';
  bool header_ = true;
  std::vector<std::string> columns_, missing_;
  std::string cells_;           // the wanted cells, row by row
  std::vector<size_t> starts_;  // [rows] in cells_
  std::vector<uint32_t> ends_;  // [rows, names] relative to the row's start; empty: missing
  RecordOrigins origins_;
};

}  // namespace

std::unique_ptr<Source> open_csv(const SourceConfig& config,
                                 const std::vector<std::string>& fields) {
  return std::make_unique<CsvSource>(config, fields);
}

}  // namespace veomni
