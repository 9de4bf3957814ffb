#pragma once
// A source with its splits: its samples by their place in the endless training order, or in the
// evaluation split.

#include <memory>
#include <string>

#include "core/data/sample_builder.h"

namespace veomni {

class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual int64_t size(bool eval) const = 0;  ///< samples of the split
  /// Sample `place` (0 … size) of a split in file order. Seed and epoch move a text's windows and
  /// choose the augmentation; seed 0, as in evaluation: neither. Thread-safe.
  virtual Sample sample(int64_t place, int64_t epoch, bool eval, uint64_t seed) const = 0;
  /// Calls `visit` with each record of the training split, images undecoded.
  virtual void each_training_record(const std::function<void(const Record&)>& visit) const = 0;
  /// Calls `visit` with each text of the whole source that a segment shows to the model, and where
  /// it stands.
  virtual void each_text(
      const std::function<void(std::string_view, const std::string&)>& visit) const = 0;
  /// Called once, when the context's tokenizer and preprocessors are ready and before the first
  /// sample.
  virtual void prepare() = 0;
};

/// Opens the source; `context` is filled in later but before `prepare`, except recipe, registry and
/// preprocessors (unfitted).
std::unique_ptr<SampleSource> open_sample_source(int32_t number, const SourceConfig& config,
                                                 const SampleContext& context);

}  // namespace veomni
