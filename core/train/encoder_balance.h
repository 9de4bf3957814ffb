#pragma once
// Encoder work spread over ranks that have packs of their own: what every rank has to know of the segments of a step, and the
// journey of their arrays to the ranks that encode them. Embeddings travel back in the model (parallel/collectives.h).

#include <cstdint>
#include <memory>
#include <vector>

#include "core/data/sample.h"
#include "core/recipe/recipe.h"
#include "core/train/segments.h"

namespace veomni {

class Communicator;

class EncoderBalance {
 public:
  using Step = std::vector<std::vector<Segments>>;  ///< [micro-batch][encoder]

  /// `rows`: the ranks with packs of their own; carries host tensors.
  EncoderBalance(const Recipe& recipe, const Dataset& data, Communicator& rows);

  /// What the others have to know of this rank's segments: sizes, places and noise keys, as numbers. Throws Error when
  /// arrays are not of the shape that the part's dummy has.
  std::vector<int64_t> describe(const Step& own) const;

  /// Replaces this rank's segments by those of all rows, dealt by deal_over_rows; those that this rank encodes have their
  /// arrays. `description`: of `own`; `longest`: the most numbers that any rank describes. Returns the work of each encoder, summed
  /// over micro-batches. Collective over `rows`: one all-gather, and all-to-alls of f32 and i64 where something moves.
  std::vector<EncoderWork> spread(Step& own, std::vector<int64_t> description, int64_t longest);

 private:
  struct Array {
    bool is_float;
    std::vector<int64_t> row_shape;
    int64_t row_elements;
  };
  struct Travel;

  Step gather(const Step& own, std::vector<int64_t> description, int64_t longest) const;
  void read(const int64_t* numbers, int row, Step& all) const;
  void check(size_t encoder, const PartInput& input) const;
  void plan(size_t encoder, Segments& dealt, Travel& travel) const;
  std::shared_ptr<PartInput> make_room(size_t encoder, const Segment& segment) const;
  template <class T>
  void carry(Travel& travel) const;

  const Recipe& recipe_;
  std::vector<std::vector<Array>> arrays_;  ///< of each encoder
  Communicator& rows_;
};

}  // namespace veomni
