#pragma once
// How an encoder's input is prepared on the host, by worker threads; knows no LibTorch.

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/data/record.h"
#include "core/data/vocabulary.h"
#include "core/json.h"
#include "core/recipe/recipe.h"

namespace veomni {

/// A dense host array, row-major; `shape[0]` is the dim along which a batch concatenates.
struct HostArray {
  std::vector<int64_t> shape;
  std::variant<std::vector<float>, std::vector<int64_t>> data;
};

/// One segment's input for its encoder.
struct PartInput {
  int64_t token_count = 0;  ///< embeddings the encoder returns for it; boundary tokens not counted
  /// In the part's own fixed order, the same number for every segment.
  std::vector<HostArray> arrays;
  /// Frames, rows and columns of the tokens of each image or clip in it, for multimodal rotary positions
  /// (core/data/grid_positions.h); empty: its tokens count as text does.
  std::vector<std::array<int64_t, 3>> grids = {};
};

/// Calls its argument with each training record once, in file order.
using RecordStream = std::function<void(const std::function<void(const Record&)>&)>;

class Preprocessor {
 public:
  virtual ~Preprocessor() = default;

  /// The fields of a record that `prepare` reads; a source reads no others.
  virtual std::vector<std::string> fields(const SegmentConfig& segment) const {
    return {segment.field};
  }

  /// Thread-safe. `seed` 0: as it is; otherwise the seed of this sample's random augmentation, if
  /// the part has one. Throws ConfigError that starts with the field's name when the record cannot
  /// be used.
  virtual PartInput prepare(const Record& record, const SegmentConfig& segment,
                            uint64_t seed) const = 0;

  /// Text ids that stand before and after every segment instead of the part's own learned boundary tokens: those that a
  /// pretrained model was trained with.
  virtual std::optional<std::pair<int64_t, int64_t>> boundary_ids() const { return std::nullopt; }

  /// An input of at least one token that counts for nothing: for ranks that must run the part
  /// without data. Its arrays have the types, and but for dim 0 the shapes, of every segment's.
  virtual PartInput dummy() const = 0;

  /// True when `fit` has to see the training records (statistics, vocabularies) before the first
  /// `prepare`.
  virtual bool needs_fit() const { return false; }
  /// Learns from the training records. Values of named tables are only counted into `shared`,
  /// because parts that name the same table share its rows; `use_tables` brings the finished
  /// vocabularies before the first `prepare`.
  virtual void fit(const RecordStream&, TableCounts& /*shared*/) {}
  virtual void use_tables(const TableVocabularies&) {}

  /// What `fit` learned; stored in checkpoints and restored instead of fitting again.
  virtual Json state() const { return nullptr; }
  virtual void restore(const Json&) {}
};

}  // namespace veomni
