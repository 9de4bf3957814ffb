// Format `jsonl`: one JSON object a line, parsed once when the source is opened.
#include <set>

#include "core/data/file_bytes.h"
#include "core/data/json_value.h"
#include "core/data/source.h"
#include "core/data/source_tools.h"
#include "core/data/text.h"
#include "core/error.h"

namespace veomni {
namespace {

class JsonlSource : public Source {
 public:
  JsonlSource(const SourceConfig& config, const std::vector<std::string>& fields)
      : names_(std::make_shared<const std::vector<std::string>>(fields)), found_(fields.size()) {
    for (const auto& path : config.paths) add_file(path);
    const std::vector<std::string> known(seen_.begin(), seen_.end());
    for (size_t i = 0; i < fields.size() && origins_.size() > 0; ++i)
      if (!found_[i] && !(config.format == "tokens" && fields[i] == "labels"))
        require_field(config, config.paths.front(), fields[i], known);
  }

  int64_t size() const override { return origins_.size(); }
  std::string where(int64_t index) const override { return origins_.where(index); }

  void read(int64_t index, Record& record, bool) const override {
    start_record(record, names_, index);
    const size_t first = static_cast<size_t>(index) * names_->size();
    for (size_t i = 0; i < names_->size(); ++i) record.values[i] = values_[first + i];
  }

 private:
  void add_file(const std::string& path) {
    const std::string bytes = read_file_bytes(path);
    origins_.start_file(path);
    LineReader lines(bytes);
    for (std::string_view line; lines.next(line);) {
      if (lines.number() == 1 && line.substr(0, 3) == "\xEF\xBB\xBF") line.remove_prefix(3);
      if (!trim(line).empty()) add_line(path, lines.number(), line);
    }
  }

  void add_line(const std::string& path, int64_t number, std::string_view line) {
    const std::string where = path + ":" + std::to_string(number);
    Json object;
    try {
      object = Json::parse(line);
    } catch (const Json::exception& error) {
      const auto* parse = dynamic_cast<const Json::parse_error*>(&error);
      throw ConfigError(fmt::format("{}: is not valid JSON near byte {}; correct this line", where,
                                    parse != nullptr ? parse->byte : 0));
    }
    require<ConfigError>(object.is_object(), "{}: is not a JSON object; write {{\"field\": …}}",
                         where);
    if (seen_.size() < kNamesKept)
      for (const auto& item : object.items()) seen_.insert(item.key());
    for (size_t i = 0; i < names_->size(); ++i) {
      const auto item = object.find((*names_)[i]);
      found_[i] = found_[i] || item != object.end();
      values_.push_back(item == object.end() ? Value() : json_value(*item, where, (*names_)[i]));
    }
    origins_.add(number);
  }

  static constexpr size_t kNamesKept = 100;
  std::shared_ptr<const std::vector<std::string>> names_;
  std::vector<Value> values_;   // [records, names]
  std::vector<bool> found_;     // whether any line has the name
  std::set<std::string> seen_;  // names for the error line
  RecordOrigins origins_;
};

}  // namespace

std::unique_ptr<Source> open_jsonl(const SourceConfig& config,
                                   const std::vector<std::string>& fields) {
  return std::make_unique<JsonlSource>(config, fields);
}

}  // namespace veomni
