#pragma once
// One FSDP unit: parameters gathered before use and released after it (design: section 9; Zhao et
// al. 2023, arXiv:2304.11277). Each rank of the shard group keeps 1/size of the flat f32 master
// parameters.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/comm_ledger.h"
#include "core/communicator.h"
#include "core/recipe/groups.h"
#include "core/recipe/recipe.h"
#include "core/train/parameters.h"
#include "kernels/gradient_home.h"

namespace veomni {

/// How parameters and gradients travel: memory against communication, never results.
struct FsdpSettings {
  enum class Reshard {
    automatic,  ///< never if all units of the chain together are at most kKeptBytes
    always,     ///< released after forward, gathered again before backward (ZeRO-3)
    never       ///< kept until their backward is over (ZeRO-2)
  };
  static constexpr int64_t kKeptBytes = int64_t{64} << 20;

  int64_t prefetch = 1;  ///< units gathered ahead of the one that computes, in both directions
  Reshard reshard = Reshard::always;
  bool reduce_each_micro_batch =
      true;  ///< false: each rank sums whole gradients until the end of the step

  static FsdpSettings of(const ParallelConfig& config);
};

/// Groups and settings that parts need to build themselves; owned by cmd, alive as long as the
/// model.
struct ParallelContext {
  Communicator* world = nullptr;         ///< everybody who has a part of the loss
  Communicator* dense = nullptr;         ///< parameters are split over it
  Communicator* replicate = nullptr;     ///< gradients are also summed over it
  Communicator* sequence = nullptr;      ///< who shares the tokens of a pack
  Communicator* expert = nullptr;        ///< who shares the experts of a layer
  Communicator* expert_shard = nullptr;  ///< experts' parameters are split over it
  Communicator* encoders = nullptr;  ///< who shares encoders' work where it is balanced; else null
  CommLedger* ledger = nullptr;      ///< counts the collectives; may be null
  int64_t seed = 1;
  /// Parameters whose values come from a file after the model is built: they are zero, not drawn,
  /// until then. Empty: none.
  std::function<bool(const ParameterSpec&)> filled_later = {};
  std::vector<GroupConfig> groups =
      {};                ///< train.groups: what is frozen, what has its own settings
  bool overlap = true;   ///< exchanges of tokens travel while something else is computed
  int expert_parts = 2;  ///< in so many parts to experts of other ranks, where they overlap
  FsdpSettings fsdp = {};
  bool compute_bf16 = false;  ///< gathered parameters are bf16; masters and reductions stay f32
  bool cuda = false;
};

/// The groups of a unit that does not go by the context's.
struct UnitGroups {
  Communicator* shard =
      nullptr;  ///< its flat tensor is split over it; null: the context's dense group
  Communicator* rows =
      nullptr;  ///< whose ranks hold different rows of its parameters (ParameterSpec::row_begin); null: none
};

class UnitUse;
struct GatheredUnit;
struct UnitState;

class Unit {
 public:
  /// `parameters` in declaration order; their values are drawn from a counter-based generator keyed
  /// by (seed, parameter name, element), so that every layout starts from the same bits. Collective
  /// only in the sense that all ranks do it.
  Unit(std::string name, std::vector<ParameterSpec> parameters, ParallelContext& context,
       UnitGroups groups = {});
  ~Unit();
  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;

  const std::string& name() const;
  const std::vector<ParameterSpec>& parameters() const;

  /// Gathers the parameters for one micro-batch, differentiably. Prefetches the next units (see
  /// chain).
  UnitUse enter();

  /// The parameters this rank keeps, their gradient, and how slices map to parameters.
  Shard& shard();

  /// Units in the order of forward; enter() of one starts the gathers of the next ones, backward those of
  /// the previous ones (FsdpSettings::prefetch). Decides whether they are released after forward.
  static void chain(const std::vector<Unit*>& units);

  /// After the last backward of a step: finishes reductions, then sums over `replicate`. A unit
  /// without any gradient in the step becomes unused (shard().used) and has gradient zero.
  /// Collective.
  void reduce_gradients();
  /// The same for all of them, the sums under way together.
  static void reduce_gradients(const std::vector<Unit*>& units);
  /// Before a step: the first gradient of the step replaces what shard().gradient holds.
  void zero_gradient();

  /// Bytes of gathered parameters held now (prefetched ones included); 0 when parameters are used
  /// in place.
  int64_t gathered_bytes() const;

  /// The whole parameter, f32, on every rank (tests, export). Collective over its groups.
  at::Tensor full_parameter(const std::string& name);
  /// Likewise its gradient after reduce_gradients; undefined when the parameter is frozen.
  at::Tensor full_gradient(const std::string& name);

 private:
  std::shared_ptr<UnitState> state_;
};

/// A gathered unit in the forward of one micro-batch. Each enter() is followed by exactly one
/// leave() with every tensor that carries gradient out of the unit; parameters must not be used
/// after it, save by backward. Frozen parameters do not require gradient; what they are used for
/// does when something else in it does. Every path of gradient into the unit must pass through leave(), or
/// backward finds the parameters' storage empty and throws.
class UnitUse {
 public:
  /// Parameter i, in declaration order.
  const at::Tensor& operator[](size_t i) const { return tensors_[i]; }
  /// In what becomes the unit's gradient. Undefined where it is not written but added, or in another dtype.
  kernels::GradientHome gradient_home() const;
  std::vector<at::Tensor> leave(std::vector<at::Tensor> outputs);
  at::Tensor leave(const at::Tensor& output) { return leave(std::vector<at::Tensor>{output})[0]; }

 private:
  friend class Unit;
  std::vector<at::Tensor> tensors_;
  std::shared_ptr<UnitState> unit_;
  std::shared_ptr<GatheredUnit> gathered_;  ///< null when parameters are used in place
};

}  // namespace veomni
