#pragma once
// One micro-batch as the model sees it: packs end to end in one row, in host memory. The model takes to its device what it
// computes with; bounds, places and noise keys are read on the host.
// T tokens, S samples

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/data/sample.h"
#include "core/train/encoder_input.h"
#include "core/train/segments.h"
#include "core/train/sequence_place.h"

namespace veomni {

/// The labelled positions of one head.
struct HeadTargets {
  at::Tensor rows;              ///< [n] i64 into the batch
  at::Tensor labels;            ///< [n] f32
  at::Tensor weights;           ///< [n] f32
  std::vector<size_t> targets;  ///< [n] which of the packs' targets they are
};

/// Where ranks share the tokens of a pack, T is those of this rank; positions and cu_seqlens are the whole row's.
struct Batch {
  at::Tensor ids;            ///< [T] i64, as core/data/sample.h numbers them
  at::Tensor positions;      ///< [row] i64 within each sample; [3, row] with mrope_section
  at::Tensor cu_seqlens;     ///< [S + 1] i32
  at::Tensor labels;         ///< [T] i64, kIgnore where nothing is trained
  at::Tensor label_weights;  ///< [T] f32
  at::Tensor noise_keys;     ///< [T] i64: (lane, position in its pack), what dropout is drawn by
  std::vector<EncoderInput> encoders;  ///< one an encoder of the recipe
  std::vector<HeadTargets> heads;      ///< one a head of the recipe
  int64_t text_labels = 0;             ///< labels other than kIgnore
  SequencePlace place;                 ///< of this rank among those that share the row
  int64_t token_count() const { return ids.size(0); }
  int64_t row_tokens() const { return positions.size(-1); }
};

/// Which parts a micro-batch has to run: an encoder or head used by any rank runs on all, on a dummy where there is none.
struct PartUse {
  std::vector<bool> encoders, heads;
  bool text = false;
};

/// The packs of a micro-batch end to end, before ranks take their shares of it.
struct Row {
  /// Lane `lanes[i]` each.
  Row(const std::vector<const Pack*>& packs, const std::vector<int64_t>& lanes,
      SequencePlace its_place = {});

  Pack pack;
  std::vector<int64_t> noise_keys;  ///< [row]: the same for a token wherever its lane is computed
  SequencePlace place;              ///< of this rank among those that share it

  PartUse parts(const Recipe& recipe) const;
  /// Of each encoder of the recipe, not dealt yet.
  std::vector<Segments> segments(const Recipe& recipe) const;
};

/// This rank's share of the row. `dealt`: the segments of each encoder, at least those of this row. Encoders in `use` of
/// which this rank encodes no segment get their preprocessor's dummy.
Batch make_batch(const Row& row, const std::vector<Segments>& dealt, const PartUse& use,
                 const Dataset& data, const Recipe& recipe);

/// The same, the segments dealt among the ranks of the row.
Batch make_batch(const Row& row, const PartUse& use, const Dataset& data, const Recipe& recipe);

}  // namespace veomni
