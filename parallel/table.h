#pragma once
// Embedding tables of categorical ids: not FSDP units. Ids are deduplicated, and only touched rows
// get gradients and optimizer updates (lazy AdamW, as PyTorch's SparseAdam), so that 10^8 rows cost
// what a batch touches.

#include <cstdint>
#include <memory>
#include <string>

#include "core/train/parameters.h"
#include "kernels/optimizer.h"
#include "parallel/fsdp/unit.h"

namespace veomni {

class Table {
 public:
  /// Rows are drawn N(0, deviation²) from the counter-based generator keyed by (seed, name,
  /// element).
  Table(std::string name, int64_t rows, int64_t dim, double deviation, ParallelContext& context);
  ~Table();

  const std::string& name() const;
  int64_t rows() const;
  int64_t dim() const;
  bool frozen() const;  ///< by train.groups: lookups carry no gradient, rows are never updated

  /// ids [n] i64 in [0, rows) → [n, dim], differentiable; without gradient mode a plain lookup.
  /// Throws c10::Error out of range.
  /// Without `touches` it is differentiable all the same, so that every rank runs the same backward, but its rows are not
  /// updated for it: a dummy's gradient is zero, and an update by it would still move them.
  at::Tensor lookup(const at::Tensor& ids, bool touches = true);

  /// After the last backward of a step: brings together the touched rows of all data ranks and
  /// their summed gradients, the same bits on every rank. Collective; every rank calls it, also
  /// without lookups.
  void reduce_gradients();
  /// Σ g² over the touched rows (once, not per rank).
  double gradient_sum_of_squares() const;
  /// Updates touched rows, then forgets them. SGD: plain gradient step with settings.lr.
  void adamw(const kernels::AdamW& settings);
  void sgd(double lr, double gradient_scale);

  at::Tensor& weight();   ///< [rows, dim] f32
  at::Tensor& exp_avg();  ///< [rows, dim] f32, made at the first adamw
  at::Tensor& exp_avg_sq();
  /// Touched row ids (sorted) and their gradients [n, dim] after reduce_gradients (tests).
  std::pair<at::Tensor, at::Tensor> touched() const;
  /// Drops touched rows without an update (a part unused in the step, or an evaluation in gradient
  /// mode).
  void forget();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace veomni
