#pragma once
// Vocabularies of categorical values: which row of a table a value has. No LibTorch.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/json.h"

namespace veomni {

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
template <class T>
using StringMap = std::unordered_map<std::string, T, StringHash, std::equal_to<>>;

/// How often each value was seen.
class ValueCounts {
 public:
  void add(std::string_view value);
  /// Values seen at least `min_count` times, the most frequent first, equal counts in byte order;
  /// at most `limit`.
  std::vector<std::string> ranked(int64_t limit, int64_t min_count) const;

 private:
  StringMap<int64_t> counts_;
};

/// Value → row. Row 0 stands for missing, row 1 for unseen, row 2 + i for value i.
class Vocabulary {
 public:
  static constexpr int64_t kMissing = 0, kUnseen = 1, kFirst = 2;

  Vocabulary() = default;
  explicit Vocabulary(std::vector<std::string> values);
  /// The empty value is missing.
  int64_t row(std::string_view value) const;
  int64_t rows() const { return kFirst + static_cast<int64_t>(values_.size()); }
  const std::vector<std::string>& values() const { return values_; }

 private:
  std::vector<std::string> values_;
  StringMap<int64_t> rows_;
};

/// Counts of the named tables without a hash, by table, while the parts that share them are being
/// fitted.
struct TableCounts {
  std::map<std::string, ValueCounts> counts;
  std::map<std::string, int64_t> min_count;  ///< the greatest that any column of the table asks for
};

/// The finished vocabularies of those tables; one a table, whatever number of parts read it.
struct TableVocabularies {
  std::map<std::string, std::shared_ptr<const Vocabulary>> tables;

  Json state() const;
  static TableVocabularies restore(const Json& state);
};

}  // namespace veomni
