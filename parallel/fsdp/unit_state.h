#pragma once
// Inside of Unit: gathering into storages that autograd holds, and reducing gradients behind the
// computation.

#include <ATen/core/Tensor.h>

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "parallel/fsdp/layout.h"
#include "parallel/fsdp/unit.h"

namespace veomni {

struct GatheredUnit;

/// What the units of one model share.
struct UnitPipeline {
  struct Reduction {
    std::shared_ptr<UnitState> unit;
    std::unique_ptr<Work> work;
    at::Tensor full, part;  ///< [trained] of this rank, [m] of the sum
    bool adds;              ///< part is added to the shard's gradient; otherwise it is the gradient
  };
  std::list<Reduction> reductions;        ///< oldest first
  std::weak_ptr<GatheredUnit> last_left;  ///< of the forward under way

  void finish_oldest();
  void finish_all();
};

struct UnitState : std::enable_shared_from_this<UnitState> {
  UnitState(std::string its_name, std::vector<ParameterSpec> its_parameters,
            ParallelContext& context, UnitGroups groups);

  /// In place: makes the parameters. Not in the constructor, for hooks need weak_from_this().
  void make_leaves();
  size_t index_of(const std::string& parameter) const;
  /// A view of parameter i in a flat tensor [total], or of trained parameters, [trained].
  at::Tensor view(const at::Tensor& flat, size_t i) const;
  at::TensorOptions gathered_options() const;
  /// Starts bringing together everybody's `piece` of the first zones of `flat`: as many as piece has.
  std::vector<std::unique_ptr<Work>> start_gather(const at::Tensor& flat, const at::Tensor& piece);
  bool trains() const { return layout.trained > 0; }

  /// Of the trained parameters the one that begins at `address` of a flat f32 tensor at `flat`, or none.
  std::optional<size_t> trained_at(const void* address, const void* flat) const;
  /// In place: GradientHome.
  at::Tensor gradient_home(const at::Tensor& parameter);

  /// Starts the gather of this unit unless one is under way.
  void prefetch();
  /// Of the units that follow in forward.
  void prefetch_next();
  /// The gathered flat tensor [total], in the dtype of computation.
  at::Tensor take_gathered();
  void drop_prefetched();

  /// Adds one micro-batch's gradients by parameter (undefined: zero), starting their reduction over
  /// the shard group. `full`: [trained] with some of them written already, or undefined.
  void add_gradients(const std::vector<at::Tensor>& gradients, at::Tensor full);
  /// Puts or adds them into a flat tensor [trained] of this rank; those that lie there already are left.
  void flatten(const std::vector<at::Tensor>& gradients, const at::Tensor& flat, bool adds) const;
  void start_reduction(const at::Tensor& full, bool first);
  /// Of gradients that waited for the end of the step.
  void start_last_reduction();
  /// Finishes reductions; what got no gradient is zero.
  void complete_gradient();

  std::string name;
  std::vector<ParameterSpec> parameters;
  Communicator& group;
  Communicator* replicate;
  CommLedger* ledger;
  Communicator* rows;  ///< null: every rank's group holds all rows
  FlatLayout layout;
  FsdpSettings settings;
  bool reshard;         ///< gathered parameters are released after forward
  bool bf16, in_place;  ///< in_place: parameters alias the master, nothing is gathered
  Shard shard;
  std::vector<at::Tensor> leaves;  ///< in place: the parameters
  std::vector<at::Tensor>
      leaf_gradients;  ///< in place: their views of shard.gradient; undefined where frozen
  std::vector<bool>
      written;  ///< in place: this step's gradient of the parameter is in the flat gradient
  std::vector<bool> homes_given;  ///< in place, likewise: it is being written there
  at::Tensor anchor;              ///< gives Gather a differentiable input
  bool fresh = true;              ///< no gradient yet in this step
  at::Tensor
      unreduced;  ///< [trained] whole gradients of this rank that wait for the end of the step
  std::shared_ptr<UnitPipeline> pipeline = std::make_shared<UnitPipeline>();
  std::weak_ptr<UnitState> next;
  at::Tensor prefetched, prefetch_source;
  std::vector<std::unique_ptr<Work>> prefetch_work;
  int64_t filled_bytes = 0;  ///< of storages in use
};

/// The parameters of one enter(): tensors over one storage that is filled while forward or backward
/// needs it.
struct GatheredUnit : std::enable_shared_from_this<GatheredUnit> {
  explicit GatheredUnit(std::shared_ptr<UnitState> its_unit);
  ~GatheredUnit();

  void fill();
  void release();
  std::vector<at::Tensor> make_tensors();
  /// GradientHome, in the tensor that is reduced over the shard group.
  at::Tensor gradient_home(const at::Tensor& parameter);
  /// Gathers, differentiably in gradient mode: then the last tensor is the mark that leave takes.
  std::vector<at::Tensor> enter();
  /// The end of the unit's forward.
  std::vector<at::Tensor> leave(const std::vector<at::Tensor>& outputs, const at::Tensor& mark);

  std::shared_ptr<UnitState> unit;
  at::Tensor flat;  ///< owns the storage; its size says nothing
  bool filled = false;
  at::Tensor full_gradient;              ///< [trained] once a home in it was asked for
  std::vector<bool> homes_given;         ///< of each parameter
  std::weak_ptr<GatheredUnit> previous;  ///< left before this one in the same forward
};

}  // namespace veomni
