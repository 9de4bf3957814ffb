#include "modalities/encoders/features_preprocess_spec.h"

#include <algorithm>
#include <cmath>
#include <limits>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/data/statistics.h"
#include "core/data/text.h"
#include "core/error.h"
#include "modalities/encoders/features_columns_spec.h"

namespace veomni {
namespace {

/// Where a column's results go and what was learned about it.
struct FittedColumn {
  FeatureColumn config;
  size_t number_slot = 0, id_slot = 0;  ///< id_slot: bins for numbers; lists: index of the list
  double mean = 0, deviation = 1;
  std::vector<double> edges = {};  ///< inner edges of the bins, ascending
  int64_t base = 0;                ///< first row in the encoder's own table
  int64_t hash_rows = 0;           ///< hashed table: its rows
  std::shared_ptr<const Vocabulary> vocabulary = {};

  bool own_table() const { return !config.number && config.table.empty(); }
};

class FeaturesPreprocessor : public Preprocessor {
 public:
  FeaturesPreprocessor(const PartConfig& config, const Json& tables)
      : where_("model.encoders." + config.name), rows_(config.keys.value("rows", int64_t{4096})) {
    for (const auto& column : read_feature_columns(config, where_)) add_column(column, tables);
  }

  std::vector<std::string> fields(const SegmentConfig&) const override {
    std::vector<std::string> names;
    for (const auto& column : columns_) names.push_back(column.config.name);
    return names;
  }

  PartInput prepare(const Record& record, const SegmentConfig&, uint64_t) const override {
    Row row(numbers_, ids_);
    size_t hint = 0;
    for (const auto& column : columns_) {
      const Value* value = record.find(column.config.name, hint);
      if (column.config.number)
        put_number(column, value, row);
      else if (column.config.list_max > 0)
        put_list(column, value, row);
      else
        row.ids[column.id_slot] = scalar_row(column, value);
    }
    return std::move(row).input();
  }

  PartInput dummy() const override { return Row(numbers_, ids_).input(); }

  bool needs_fit() const override { return true; }

  void fit(const RecordStream& records, TableCounts& shared) override {
    Fit fit(columns_.size());
    records([&](const Record& record) { count(record, fit, shared); });
    for (size_t i = 0; i < columns_.size(); ++i) {
      FittedColumn& column = columns_[i];
      column.mean = fit.moments[i].mean, column.deviation = fit.moments[i].deviation();
      if (column.config.bins > 0) column.edges = inner_quantiles(fit.values[i], column.config.bins);
      if (column.own_table())
        column.vocabulary = std::make_shared<const Vocabulary>(
            fit.counts[i].ranked(std::numeric_limits<int64_t>::max(), column.config.min_count));
      if (!column.config.table.empty() && column.hash_rows == 0) {
        int64_t& least = shared.min_count[column.config.table];
        least = std::max(least, column.config.min_count);
      }
    }
    place_columns();
  }

  void use_tables(const TableVocabularies& shared) override {
    for (auto& column : columns_) {
      if (column.config.table.empty() || column.hash_rows > 0) continue;
      const auto found = shared.tables.find(column.config.table);
      require<ConfigError>(found != shared.tables.end(),
                           "model.tables.{}: has no vocabulary in this checkpoint",
                           column.config.table);
      column.vocabulary = found->second;
    }
  }

  Json state() const override {
    Json state = {
        {"numbers", Json::object()}, {"bins", Json::object()}, {"values", Json::object()}};
    for (const auto& column : columns_) {
      const std::string& name = column.config.name;
      if (column.config.number) state["numbers"][name] = {column.mean, column.deviation};
      if (column.config.bins > 0) state["bins"][name] = column.edges;
      if (column.own_table()) state["values"][name] = column.vocabulary->values();
    }
    return state;
  }

  void restore(const Json& state) override {
    for (auto& column : columns_) {
      const std::string& name = column.config.name;
      const auto part = [&](const char* kind) -> const Json& {
        require<ConfigError>(state.contains(kind) && state.at(kind).contains(name),
                             "{}.columns.{}: the checkpoint knows no such column; use the recipe "
                             "it was trained with",
                             where_, name);
        return state.at(kind).at(name);
      };
      if (column.config.number) {
        column.mean = part("numbers").at(0).get<double>();
        column.deviation = part("numbers").at(1).get<double>();
      }
      if (column.config.bins > 0) column.edges = part("bins").get<std::vector<double>>();
      if (column.own_table())
        column.vocabulary =
            std::make_shared<const Vocabulary>(part("values").get<std::vector<std::string>>());
    }
    place_columns();
  }

 private:
  struct Row {
    std::vector<float> numbers;
    std::vector<int64_t> ids, list_ids, list_columns;
    Row(size_t number_count, size_t id_count) : numbers(2 * number_count), ids(id_count) {}

    PartInput input() && {
      const auto wide = [](size_t n) { return static_cast<int64_t>(n); };
      PartInput result;
      result.token_count = 1 + wide(list_ids.size());
      result.arrays.reserve(4);
      result.arrays.push_back({{1, wide(numbers.size())}, std::move(numbers)});
      result.arrays.push_back({{1, wide(ids.size())}, std::move(ids)});
      const int64_t elements = wide(list_ids.size());
      result.arrays.push_back({{elements, 1}, std::move(list_ids)});
      result.arrays.push_back({{elements, 1}, std::move(list_columns)});
      return result;
    }
  };

  struct Fit {
    std::vector<Moments> moments;
    std::vector<std::vector<double>> values;  ///< of numbers with bins
    std::vector<ValueCounts> counts;          ///< of columns in the own table
    std::string scratch = {};
    explicit Fit(size_t columns) : moments(columns), values(columns), counts(columns) {}
  };

  void add_column(const FeatureColumn& config, const Json& tables) {
    FittedColumn column{.config = config};
    if (config.number) {
      column.number_slot = numbers_++;
      if (config.bins > 0) column.id_slot = ids_++;
    } else {
      column.id_slot = config.list_max > 0 ? lists_++ : ids_++;
    }
    if (!config.table.empty()) {
      require<ConfigError>(tables.is_object() && tables.contains(config.table),
                           "{}.columns.{}.table: there is no model.tables.{}; add it", where_,
                           config.name, config.table);
      const Json& table = tables.at(config.table);
      if (!table.value("hash", std::string()).empty())
        column.hash_rows = table.at("rows").get<int64_t>();
      require<ConfigError>(table.at("rows").get<int64_t>() >= Vocabulary::kFirst,
                           "model.tables.{}.rows: must be at least 2", config.table);
    }
    columns_.push_back(std::move(column));
  }

  // The number after its transform; false when missing.
  bool number_of(const FittedColumn& column, const Value* value, double& x) const {
    if (is_missing(value)) return false;
    if (!to_number(*value, x)) {
      std::string scratch;
      throw ConfigError(
          fmt::format("{}: '{}' is not a number; make the column a category, or list the text "
                      "under the source's `missing`",
                      column.config.name, shown(to_category(*value, scratch))));
    }
    if (column.config.log1p) x = std::copysign(std::log1p(std::abs(x)), x);
    return true;
  }

  void put_number(const FittedColumn& column, const Value* value, Row& row) const {
    double x = 0;
    const bool there = number_of(column, value, x);
    row.numbers[column.number_slot] =
        there ? static_cast<float>((x - column.mean) / column.deviation) : 0.0F;
    row.numbers[numbers_ + column.number_slot] = there ? 0.0F : 1.0F;
    if (column.config.bins == 0) return;
    const auto bin =
        std::upper_bound(column.edges.begin(), column.edges.end(), x) - column.edges.begin();
    row.ids[column.id_slot] = column.base + (there ? 1 + bin : 0);
  }

  static int64_t row_of(const FittedColumn& column, std::string_view value) {
    if (column.hash_rows > 0) {
      if (value.empty()) return Vocabulary::kMissing;
      const uint64_t hash = XXH64(value.data(), value.size(), 0);
      return static_cast<int64_t>(1 + hash % static_cast<uint64_t>(column.hash_rows - 1));
    }
    return column.base + column.vocabulary->row(value);
  }

  static void require_scalar(const FittedColumn& column, const Value& value) {
    const bool scalar = std::holds_alternative<std::string>(value) ||
                        std::holds_alternative<int64_t>(value) ||
                        std::holds_alternative<double>(value);
    require<ConfigError>(
        scalar,
        "{}: is a list or an image; give a number or a string, or add \"list\": {{\"max\": n}}",
        column.config.name);
  }

  int64_t scalar_row(const FittedColumn& column, const Value* value) const {
    if (is_missing(value)) return row_of(column, {});
    require_scalar(column, *value);
    std::string scratch;
    return row_of(column, to_category(*value, scratch));
  }

  // Calls `visit` with each element of a list.
  template <class Visit>
  static void each_element(const FittedColumn& column, const Value* value, Visit visit) {
    if (is_missing(value)) return;
    if (const auto* numbers = std::get_if<std::vector<int64_t>>(value)) {
      for (const int64_t number : *numbers) visit(std::string_view(std::to_string(number)));
    } else if (const auto* texts = std::get_if<std::vector<std::string>>(value)) {
      for (const auto& text : *texts) visit(trim(text));
    } else {
      require_scalar(column, *value);
      std::string scratch;
      std::string_view rest = to_category(*value, scratch);
      while (!rest.empty()) {
        const size_t end = std::min(rest.find_first_of(column.config.separators), rest.size());
        if (const auto element = trim(rest.substr(0, end)); !element.empty()) visit(element);
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
    }
  }

  static void put_list(const FittedColumn& column, const Value* value, Row& row) {
    std::vector<int64_t> rows;
    each_element(column, value,
                 [&](std::string_view element) { rows.push_back(row_of(column, element)); });
    const size_t kept = std::min(rows.size(), static_cast<size_t>(column.config.list_max));
    row.list_ids.insert(row.list_ids.end(), rows.end() - static_cast<int64_t>(kept), rows.end());
    row.list_columns.resize(row.list_ids.size(), static_cast<int64_t>(column.id_slot));
  }

  void count(const Record& record, Fit& fit, TableCounts& shared) const {
    size_t hint = 0;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const FittedColumn& column = columns_[i];
      const Value* value = record.find(column.config.name, hint);
      if (column.config.number) {
        double x = 0;
        if (!number_of(column, value, x)) continue;
        fit.moments[i].add(x);
        if (column.config.bins > 0) fit.values[i].push_back(x);
      } else if (column.hash_rows == 0 && !is_missing(value)) {
        ValueCounts& counts =
            column.own_table() ? fit.counts[i] : shared.counts[column.config.table];
        if (column.config.list_max > 0) {
          each_element(column, value, [&](std::string_view element) { counts.add(element); });
        } else {
          require_scalar(column, *value);
          counts.add(to_category(*value, fit.scratch));
        }
      }
    }
  }

  // Gives every column without a named table its range of rows in the encoder's own table.
  void place_columns() {
    int64_t base = 0;
    for (auto& column : columns_) {
      column.base = column.own_table() || column.config.bins > 0 ? base : 0;
      if (column.own_table()) base += column.vocabulary->rows();
      if (column.config.bins > 0) base += 2 + static_cast<int64_t>(column.edges.size());
    }
    require<ConfigError>(base <= rows_,
                         "{}.rows: the columns' values need {} rows, but it is {}; raise rows to "
                         "{}, set min_count, or use a table with \"hash\": \"xxh64\"",
                         where_, base, rows_, base);
  }

  std::string where_;
  int64_t rows_;
  std::vector<FittedColumn> columns_;
  size_t numbers_ = 0, ids_ = 0, lists_ = 0;
};

}  // namespace

Keys features_preprocess_keys() {
  return {{.name = "columns",
           .type = Key::Type::object,
           .doc = "column → number, category, or an object that says more",
           .required = true},
          {.name = "rows",
           .type = Key::Type::integer,
           .doc = "rows of the encoder's own embedding table",
           .default_value = 4096,
           .minimum = 2}};
}

void check_features_preprocess(const PartConfig& config, const std::string& where) {
  read_feature_columns(config, where);
}

FeaturesLayout features_layout(const PartConfig& config) {
  FeaturesLayout layout;
  for (const auto& column : read_feature_columns(config, "model.encoders." + config.name)) {
    if (column.number) layout.number_columns.push_back(column.name);
    if (column.bins > 0) layout.categorical.push_back({column.name, "", true});
    if (!column.number) {
      auto& ids = column.list_max > 0 ? layout.lists : layout.categorical;
      ids.push_back({column.name, column.table, false});
    }
  }
  return layout;
}

std::unique_ptr<Preprocessor> make_features_preprocessor(const PartConfig& config,
                                                         const Json& tables) {
  return std::make_unique<FeaturesPreprocessor>(config, tables);
}

}  // namespace veomni
