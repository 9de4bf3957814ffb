// Format `lines`: one record a line.
#include "core/data/file_bytes.h"
#include "core/data/source.h"
#include "core/data/source_tools.h"

namespace veomni {
namespace {

class LinesSource : public Source {
 public:
  LinesSource(const SourceConfig& config, const std::vector<std::string>& fields)
      : names_(std::make_shared<const std::vector<std::string>>(fields)) {
    for (const auto& field : fields) require_field(config, config.paths.front(), field, {"text"});
    for (const auto& path : config.paths) add_file(path);
  }

  int64_t size() const override { return origins_.size(); }
  std::string where(int64_t index) const override { return origins_.where(index); }

  void read(int64_t index, Record& record, bool) const override {
    start_record(record, names_, index);
    const size_t row = static_cast<size_t>(index), begin = row == 0 ? 0 : ends_[row - 1];
    for (auto& value : record.values)
      assign_text(value, std::string_view(text_).substr(begin, ends_[row] - begin));
  }

 private:
  void add_file(const std::string& path) {
    const std::string bytes = read_file_bytes(path);
    origins_.start_file(path);
    LineReader lines(bytes);
    for (std::string_view line; lines.next(line);) {
      if (line.empty()) continue;
      text_ += line;
      ends_.push_back(text_.size());
      origins_.add(lines.number());
    }
  }

  std::shared_ptr<const std::vector<std::string>> names_;
  std::string text_;          // the lines, end to end
  std::vector<size_t> ends_;  // of each line in text_
  RecordOrigins origins_;
};

}  // namespace

std::unique_ptr<Source> open_lines(const SourceConfig& config,
                                   const std::vector<std::string>& fields) {
  return std::make_unique<LinesSource>(config, fields);
}

}  // namespace veomni
