#pragma once
// Samples as the model sees them, packs of samples, and the feed that delivers packs. No LibTorch.
//
// Token ids: [0, vocab) are text. From vocab on come the special tokens of the recipe, in this
// order: the readout token, then for each encoder in recipe order its begin and its end token.
// Positions that an encoder fills hold kPlaceholder. A sample with targets ends in one readout
// token; heads read its hidden state.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/data/preprocessor.h"
#include "core/recipe/spec.h"

namespace veomni {

inline constexpr int64_t kPlaceholder = -1;
inline constexpr int64_t kIgnore = -100;  ///< label of a position that trains nothing

// Ids of the special tokens; `vocab` is Dataset::vocab_size().
inline int64_t readout_token(int64_t vocab) { return vocab; }
inline int64_t begin_token(int64_t vocab, int32_t encoder) {
  return vocab + 1 + int64_t{2} * encoder;
}
inline int64_t end_token(int64_t vocab, int32_t encoder) {
  return vocab + 2 + int64_t{2} * encoder;
}
inline int64_t special_token_count(size_t encoders) {
  return 1 + 2 * static_cast<int64_t>(encoders);
}

struct Target {
  int32_t head = 0;      ///< index into Recipe::heads
  int32_t position = 0;  ///< token whose hidden state the head reads, within the sample (in a pack:
                         ///< within the pack)
  double value = 0;      ///< label: class index, 0/1, or a real
  double weight = 1;     ///< sample weight
  std::string group;     ///< GAUC's group; empty: none
};

struct Piece {
  int32_t encoder = 0;   ///< index into Recipe::encoders
  int32_t position = 0;  ///< first placeholder
  std::shared_ptr<const PartInput> input;
};

struct Sample {
  std::vector<int64_t> ids;     ///< [T]
  std::vector<int64_t> labels;  ///< [T] id to predict after this position, or kIgnore
  std::vector<Piece> pieces;
  std::vector<Target> targets;
  int32_t source = 0;
  int64_t index = 0;  ///< record (text: window of the split) in the source
  double weight = 1;  ///< also weighs its text loss
};

/// Samples end to end; at most pack_tokens tokens. An empty pack has no samples.
struct Pack {
  std::vector<int64_t> ids, labels;                  ///< [T]
  std::vector<int64_t> positions;                    ///< [T] 0, 1, … within each sample
  std::vector<float> label_weights;                  ///< [T]
  std::vector<int32_t> cu_seqlens{0};                ///< [samples + 1]
  std::vector<Piece> pieces;                         ///< positions within the pack
  std::vector<Target> targets;                       ///< positions within the pack
  std::vector<std::pair<int32_t, int64_t>> origins;  ///< (source, index) of each sample

  int64_t token_count() const { return static_cast<int64_t>(ids.size()); }
  void append(const Sample& sample);
};

/// Vocabulary of the text part.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual int64_t vocab_size() const = 0;
  virtual std::vector<int64_t> encode(std::string_view text) const = 0;
  virtual std::string decode(const std::vector<int64_t>& ids) const = 0;
  virtual Json state() const = 0;  ///< stored in checkpoints
};

/// Everything between the recipe's `data` and packs. One object a process; `lanes` of other ranks
/// are never read.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual const Tokenizer* tokenizer() const = 0;  ///< null when the recipe has no text
  virtual const Preprocessor& preprocessor(int32_t encoder) const = 0;
  /// Text ids: model.base.vocab_size, or where that is 0 the tokenizer's; 0 without text.
  virtual int64_t vocab_size() const = 0;
  virtual int64_t source_size(int32_t source, bool eval) const = 0;  ///< samples of the split

  /// Pack of `lane` at `step` (0-based); steps must be asked in order for each lane. Blocks until
  /// worker threads have it.
  virtual Pack next(int64_t lane) = 0;
  /// Tells which lanes this rank will read, and from which state; starts the workers. `cursors`
  /// null: from the start.
  virtual void start(const std::vector<int64_t>& lanes, const Json& cursors) = 0;
  /// State of the started lanes after the packs delivered so far: an object "lane number" → state.
  /// The objects of all ranks merged (Json::update) are what `start` takes, on any number of ranks.
  virtual Json cursors() const = 0;
  /// The same, before the last pack that each lane delivered: from there it can be delivered again.
  virtual Json cursors_before() const = 0;
  virtual bool finished(int64_t lane) const = 0;  ///< train.epochs: this lane has given its share

  /// The samples [begin, end) of a source's training split in file order, without augmentation: to
  /// look at.
  virtual std::vector<Sample> train_samples(int32_t source, int64_t begin, int64_t end) const = 0;
  /// Evaluation: the samples [begin, end) of a source's eval split, in file order.
  virtual std::vector<Sample> eval_samples(int32_t source, int64_t begin, int64_t end) const = 0;

  /// Statistics, vocabularies, tokenizer: stored in checkpoints.
  virtual Json state() const = 0;
};

/// Opens every source, fits or restores statistics and vocabularies (`state` null: fit). Throws
/// ConfigError with file and line on bad data.
std::unique_ptr<Dataset> open_dataset(const Recipe& recipe, const Json& state,
                                      const SpecRegistry& registry = specs());

}  // namespace veomni
