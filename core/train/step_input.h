#pragma once
// The data of one optimizer step on this rank, loaded before its first forward, and what all ranks agreed on.

#include <cstdint>
#include <optional>
#include <vector>

#include "core/recipe/recipe.h"
#include "core/train/batch.h"
#include "core/train/encoder_balance.h"
#include "core/train/model.h"

namespace veomni {

class Communicator;

struct StepInput {
  struct MicroBatch {
    Batch batch;
    PartUse use;  ///< parts that any rank needs in its micro-batch of this number
  };
  std::vector<MicroBatch> micro_batches;
  PartUse use;                 ///< parts that any rank needs in this step
  std::vector<double> counts;  ///< per loss term, all ranks
  double tokens = 0;           ///< all ranks
  double fill = 0;             ///< tokens over packs × pack_tokens
  bool empty = false;          ///< no lane had anything left (train.epochs)
  int stop = 0;                ///< signal that some rank got; 0: none
  /// Of each encoder, summed over micro-batches; empty: encoders are not balanced.
  std::vector<EncoderWork> encoder_work;
};

/// How a rank reads its lanes.
struct LaneShare {
  std::vector<int64_t> lanes;  ///< -1: none, keeps the number of micro-batches equal on all ranks
  int64_t packs_per_micro_batch = 1;
  bool balance_encoders = false;  ///< over the ranks that share the lanes
};

/// Lanes r, r + D, … of rank r of D; filled up with -1.
LaneShare share_lanes(int rank, int ranks, int64_t packs, int64_t packs_per_micro_batch);

class StepLoader {
 public:
  /// `group`: the ranks that share the lanes; those that share a pack's tokens with this one read the same lanes.
  StepLoader(const Recipe& recipe, Dataset& data, const std::vector<LossTerm>& terms,
             Communicator& group, LaneShare share, SequencePlace place = {});

  /// The lanes this rank reads: what the dataset is started with.
  std::vector<int64_t> lanes() const;

  /// Reads this rank's packs of the next step and agrees on counts, used parts and the stop flag in one int64
  /// all-reduce (design: section 8); then, where encoders are balanced, on who encodes what. Collective.
  StepInput next();

 private:
  std::vector<Row> read_rows();
  std::vector<int64_t> local_counts(const std::vector<Row>& rows) const;
  StepInput from_counts(const std::vector<int64_t>& all, size_t micro_batches) const;

  const Recipe& recipe_;
  Dataset& data_;
  const std::vector<LossTerm>& terms_;
  Communicator& group_;
  LaneShare share_;
  SequencePlace place_;
  std::optional<EncoderBalance> balance_;
};

}  // namespace veomni
