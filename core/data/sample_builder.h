#pragma once
// Samples of one source: its records (or windows of its text) as the model sees them.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/data/chat_encoder.h"
#include "core/data/sample.h"
#include "core/data/source.h"
#include "core/data/token_stream.h"
#include "core/tokenizer/post_processor.h"

namespace veomni {

/// What the samples of all sources share.
struct SampleContext {
  const Recipe* recipe = nullptr;
  const SpecRegistry* registry = nullptr;
  const Tokenizer* tokenizer = nullptr;  ///< null without text
  int64_t vocab = 0;
  std::vector<const Preprocessor*> preprocessors = {};  ///< by encoder
};

/// Which encoder or head a recipe means. Throws ConfigError when there is none of that name.
int32_t part_index(const std::vector<PartConfig>& parts, const std::string& name,
                   const std::string& where);

/// The fields that samples of the source read, without repetitions, in the order they are read.
std::vector<std::string> needed_fields(const SourceConfig& config, const SampleContext& context);

/// A sample with text is a whole text to its tokenizer: its special tokens stand before the sample's first segment and
/// behind its last text segment, where they are learned as that segment is.
class SampleBuilder {
 public:
  /// Of records; `context` and `source` must outlive the builder.
  SampleBuilder(int32_t number, const SourceConfig& config, const SampleContext& context,
                const Source& source);

  /// Record `index` as a sample. Thread-safe. `seed` 0: no augmentation. Throws ConfigError
  /// `file:line: field: what; …`.
  Sample build(int64_t index, uint64_t seed) const;

 private:
  struct Label {
    int32_t head = 0;
    const TargetConfig* config = nullptr;
    const PartConfig* part = nullptr;
    const PartSpec* spec = nullptr;
    std::vector<std::string> positive, classes;
  };

  /// Ids as they are; labels are aligned with them, so labels[t] is what position t − 1 predicts.
  void add_ids(const SegmentConfig& segment, const Record& record, Sample& sample) const;
  /// A conversation as its chat template shows it.
  void add_chat(const SegmentConfig& segment, const Record& record, Sample& sample) const;
  void add_text(const SegmentConfig& segment, const Record& record, Sample& sample) const;
  /// Segment `i` of the recipe, with what stands behind it.
  void add_segment(size_t i, const Record& record, uint64_t seed, Sample& sample) const;
  void add_piece(size_t segment, const Record& record, uint64_t seed, Sample& sample) const;
  void add_targets(const Record& record, Sample& sample) const;
  void label_value(const Label& label, const Value& cell, double& value) const;
  Label read_label(const TargetConfig& target) const;
  double sample_weight(const Record& record) const;
  void check(const Sample& sample) const;

  static constexpr size_t kNoText = ~size_t{0};

  int32_t number_;
  const SourceConfig& config_;
  const SampleContext& context_;
  const Source& source_;
  std::vector<int32_t> encoders_;  ///< of each segment; -1: text
  size_t last_text_ = kNoText;     ///< segment that is encoded
  SpecialTokensAround around_;     ///< of a sample with text
  std::vector<Label> labels_;
  std::optional<ChatConfig> chat_config_;  ///< of the formats of conversations
  std::optional<ChatEncoder> chat_;
};

}  // namespace veomni
