#pragma once
// What a rank encodes of a micro-batch, and where the embeddings go.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/data/preprocessor.h"
#include "core/train/segments.h"

namespace veomni {

/// The segments of one encoder in the batch that this rank encodes, their host arrays concatenated along dim 0. Where ranks
/// deal the segments among them, each embedding is then sent to the rank that has its place.
struct EncoderInput {
  std::vector<at::Tensor> arrays;     ///< f32 or i64, in the part's order
  std::vector<int64_t> token_counts;  ///< embeddings of each segment, in order
  /// [n] i64: where each embedding goes in the batch; empty for a dummy. Without sharing n = Σ token_counts.
  at::Tensor rows;
  at::Tensor noise_keys;  ///< [Σ token_counts] i64: those of the tokens encoded (dummy: zeros)
  at::Tensor send_rows;   ///< shared: [m] i64 which of the embeddings go out, in the order of ranks
  std::vector<int64_t> send_counts, receive_counts;  ///< shared: for and from each rank
  bool balanced = false;  ///< shared among all ranks, not only among those of a row
  bool dummy = false;     ///< not of the data: it must leave no trace, in tables neither
};

/// `used`: by some rank, so that where this one has no segments `preprocessor`'s dummy is encoded; else there is no input.
EncoderInput make_encoder_input(const Segments& dealt, const Preprocessor& preprocessor, bool used);

}  // namespace veomni
