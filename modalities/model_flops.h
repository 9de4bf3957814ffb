#pragma once
// What a batch costs the base model, forward and backward.

#include <vector>

#include "core/recipe/recipe.h"
#include "core/train/batch.h"

namespace veomni {

class Table;
class Unit;

/// Whether any parameter of them is trained.
bool trains(const std::vector<Unit*>& units, const std::vector<Table*>& tables);

/// A product costs its flops forward, again for the gradient of its input where something before it is trained, and again
/// for that of its weights where they are.
class ModelFlops {
 public:
  /// `specs`, `units`: the root, then the blocks. `before`: whether something that feeds the base model is trained.
  ModelFlops(const BaseConfig& base, const std::vector<UnitSpec>& specs,
             const std::vector<Unit*>& units, bool before);
  double of(const Batch& batch) const;

 private:
  double a_token_ = 0;
  /// Of tokens of one sample, of which attention leaves half out: in layers without a window, and in those with one.
  double a_pair_ = 0, a_window_pair_ = 0;
  double window_ = 0;
};

}  // namespace veomni
