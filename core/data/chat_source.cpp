// Formats `alpaca`, `sharegpt` and `messages`: conversations, checked when the source is opened.
#include "core/data/chat_source.h"

#include "core/data/chat_message.h"
#include "core/data/chat_rows.h"
#include "core/data/file_bytes.h"
#include "core/data/json_value.h"
#include "core/data/source_tools.h"
#include "core/data/text.h"
#include "core/error.h"
#include "core/recipe/chat_config.h"

namespace veomni {
namespace {

constexpr std::string_view kMark = "\xEF\xBB\xBF";  // a byte order mark

class ChatSource : public Source {
 public:
  ChatSource(const SourceConfig& config, const std::vector<std::string>& fields)
      : config_(config), names_(std::make_shared<const std::vector<std::string>>(fields)) {
    for (const auto& path : config.paths) add_file(path);
  }

  int64_t size() const override { return static_cast<int64_t>(rows_.size()); }

  std::string where(int64_t index) const override {
    const Row& row = rows_[static_cast<size_t>(index)];
    return place(config_.paths[row.file], row.array, row.number);
  }

  void read(int64_t index, Record& record, bool) const override {
    start_record(record, names_, index);
    const size_t first = static_cast<size_t>(index) * names_->size();
    for (size_t i = 0; i < names_->size(); ++i) record.values[i] = values_[first + i];
  }

 private:
  struct Row {
    uint32_t file = 0;
    bool array = false;  ///< an item of a JSON array, not a line
    int64_t number = 0;  ///< line from 1, item from 0
  };

  static std::string place(const std::string& path, bool array, int64_t number) {
    return array ? fmt::format("{}: item {}", path, number) : fmt::format("{}:{}", path, number);
  }

  void add_file(const std::string& path) {
    const std::string bytes = read_file_bytes(path);
    std::string_view text = bytes;
    if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
    const auto file = static_cast<uint32_t>(file_count_++);
    if (trim(text).starts_with('[')) return add_array(path, file, text);
    LineReader lines(text);
    for (std::string_view line; lines.next(line);)
      if (!trim(line).empty())
        add_row({file, false, lines.number()}, path,
                parse_json(line, place(path, false, lines.number())));
  }

  void add_array(const std::string& path, uint32_t file, std::string_view text) {
    const Json items = parse_json(text, path);
    for (size_t i = 0; i < items.size(); ++i)
      add_row({file, true, static_cast<int64_t>(i)}, path, items[i]);
  }

  void add_row(const Row& row, const std::string& path, const Json& object) {
    const std::string where = place(path, row.array, row.number);
    require<ConfigError>(object.is_object(),
                         "{}: is no JSON object, but {}; write {{\"column\": …}}", where,
                         json_excerpt(object));
    for (const std::string& name : *names_) {
      const auto item = object.find(name);
      if (name == kConversation)
        values_.push_back(conversation(object, where));
      else
        values_.push_back(item == object.end() ? Value() : json_value(*item, where, name));
    }
    rows_.push_back(row);
  }

  std::string conversation(const Json& object, const std::string& where) const {
    try {
      return to_conversation(object, config_).dump();
    } catch (const ConfigError& error) {
      throw ConfigError(where + ": " + error.what());
    }
  }

  const SourceConfig config_;
  std::shared_ptr<const std::vector<std::string>> names_;
  std::vector<Value> values_;  // [records, names]
  std::vector<Row> rows_;
  size_t file_count_ = 0;
};

}  // namespace

std::unique_ptr<Source> open_chat(const SourceConfig& config,
                                  const std::vector<std::string>& fields) {
  return std::make_unique<ChatSource>(config, fields);
}

}  // namespace veomni
