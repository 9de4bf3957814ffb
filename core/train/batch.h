#pragma once
// One micro-batch as the model sees it: packs end to end in one row, in host memory. The model takes to its device what it
// computes with; bounds, places and noise keys are read on the host.
// T tokens, S samples

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/data/sample.h"
#include "core/train/sequence_place.h"

namespace veomni {

/// The segments of one encoder in the batch that this rank encodes, their host arrays concatenated along dim 0. Ranks that
/// share the tokens of a pack deal its segments among them, then send each embedding to the rank that has its place.
struct EncoderInput {
  std::vector<at::Tensor> arrays;     ///< f32 or i64, in the part's order
  std::vector<int64_t> token_counts;  ///< embeddings of each segment, in order
  /// [n] i64: where each embedding goes in the batch; empty for a dummy. Without sharing n = Σ token_counts.
  at::Tensor rows;
  at::Tensor noise_keys;  ///< [Σ token_counts] i64: those of the tokens encoded (dummy: zeros)
  at::Tensor send_rows;   ///< shared: [m] i64 which of the embeddings go out, in the order of ranks
  std::vector<int64_t> send_counts, receive_counts;  ///< shared: for and from each rank
  bool dummy = false;  ///< not of the data: it must leave no trace, in tables neither
};

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

PartUse parts_in(const std::vector<const Pack*>& packs, const Recipe& recipe);

/// Merges packs (lane `lanes[i]` each) into one row and takes the share of `place`. Encoders in `use` without a segment get
/// their preprocessor's dummy.
Batch make_batch(const std::vector<const Pack*>& packs, const std::vector<int64_t>& lanes,
                 const PartUse& use, const Dataset& data, const Recipe& recipe,
                 SequencePlace place = {});

}  // namespace veomni
