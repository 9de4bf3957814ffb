#pragma once
// Segments of encoders in the rows of a micro-batch, and which rank encodes each.

#include <cstdint>
#include <memory>
#include <vector>

#include "core/data/preprocessor.h"
#include "core/train/sequence_place.h"

namespace veomni {

/// A segment of an encoder as every rank may know it; its arrays only where it came from and where it is encoded.
struct Segment {
  int row = 0;            ///< whose it is: rank among those with packs of their own
  int64_t position = 0;   ///< in that row, of its first embedding
  int64_t tokens = 0;     ///< embeddings, side by side
  int64_t noise_key = 0;  ///< of its first token; those of the others count on (Batch::noise_keys)
  std::vector<int64_t> array_rows;  ///< dim 0 of each of its arrays
  std::shared_ptr<const PartInput> input;
  int owner = 0;  ///< who encodes it: row · ranks of a row + place among them

  /// Rows of its first array: patches, windows of sound, records.
  int64_t work() const { return array_rows.front(); }
};

/// The segments of one encoder in one micro-batch: of this rank's row, or of all rows.
struct Segments {
  std::vector<Segment> all;         ///< row by row, in each by position
  std::vector<int64_t> row_tokens;  ///< of each row
  int row = 0;                      ///< this rank's
  SequencePlace place;              ///< of this rank among those that share its row
  /// Some segment is encoded by a rank of another row, so that embeddings travel among all ranks, not among those of a row.
  bool balanced = false;

  int ranks() const { return static_cast<int>(row_tokens.size()) * place.size; }
  int rank() const { return row * place.size + place.rank; }
};

/// Deals the segments of each row among its ranks: largest first, each to the one with the least work so far (Graham 1969:
/// none gets more than 4/3 of the best there is). Returns the work of each rank.
std::vector<int64_t> deal_within_rows(Segments& segments);

/// Work of the busiest rank, and of all, in one micro-batch of one encoder.
struct EncoderWork {
  int64_t before = 0;  ///< the busiest, if each row were encoded by its own ranks
  int64_t after = 0;   ///< the busiest, as dealt
  int64_t total = 0;
  void operator+=(const EncoderWork& other);
};

/// Deals the segments of all rows among all ranks: largest first, each stays with its row while the rank that gets it has
/// no more than the mean, else it goes to the rank with the least work; so none has more than the mean and one segment.
/// As deal_within_rows where ranks differ by at most 5 % of the mean, or nothing that moves makes the busiest less busy.
/// Depends on sizes and order alone: every rank that knows the segments finds the same owners.
EncoderWork deal_over_rows(Segments& segments);

}  // namespace veomni
