#pragma once
// The training loop: steps, evaluation, checkpoints, clean stops. Knows models, data and groups by their interfaces only.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/checkpoint/checkpoint.h"
#include "core/comm_ledger.h"
#include "core/json.h"
#include "core/recipe/recipe.h"
#include "core/report/run_log.h"
#include "core/train/evaluator.h"
#include "core/train/model.h"
#include "core/train/optimizer.h"
#include "core/train/step_input.h"

namespace veomni {

class Communicator;
class Dataset;

/// What the trainer works with; all of it outlives the trainer.
struct TrainContext {
  const Recipe& recipe;
  Dataset& data;
  Model& model;
  Communicator& world;
  Communicator& data_group;   ///< ranks that share the lanes
  Communicator& sequence;     ///< ranks that share the tokens of a pack; carries host tensors
  bool writes_shards = true;  ///< of ranks with the same shard, one writes it
  int64_t packs_per_micro_batch = 1;
  bool balance_encoders = false;
  int64_t planned_steps = 0;  ///< of the whole run (epochs.h): what the schedule goes by
  const FlatMath& math;       ///< kernels of the update
  double peak_flops = 0;      ///< of this rank's device, for mfu; 0: mfu is left out
  std::function<int64_t()> peak_device_bytes =
      {};                        ///< for peak_memory_bytes; empty: this process's memory
  CommLedger* ledger = nullptr;  ///< of all groups' collectives
  RunLog* log = nullptr;         ///< rank 0 only
};

/// How a run ended.
struct TrainResult {
  int64_t step = 0;
  int stop_signal = 0;  ///< 0: it came to its end
  Json evaluation;      ///< of the last evaluation
};

class Trainer {
 public:
  explicit Trainer(TrainContext context);

  /// Continues from a checkpoint: parameters, optimizer, buffers and step. (The dataset is started by run().)
  void restore(const Checkpoint& checkpoint);

  /// Trains to the last step, or to a signal. Throws Error when a loss or gradient is not finite, after saving the last
  /// good step. Collective.
  TrainResult run();

 private:
  struct StepOutcome;
  StepOutcome train_step(StepInput& input, int64_t step);
  at::Tensor backward(StepInput& input, int64_t step, double& flops);
  [[noreturn]] void report_not_finite(StepInput& input, int64_t step);
  void log_step(const StepInput& input, const StepOutcome& outcome);
  void evaluate(bool whole);
  void save(const Json& cursors);
  ForwardOptions forward_options(const StepInput& input, int64_t step) const;
  std::string first_not_finite(StepInput& input, int64_t step);

  TrainContext context_;
  Optimizer optimizer_;
  Evaluator evaluator_;
  StepLoader loader_;
  int64_t step_ = 0, saved_step_ = -1, evaluated_step_ = -1;
  bool told_units_ = false;  ///< metrics have the collectives by unit
  Json files_;               ///< of rank 0: what the data files held when this run started
  Json restored_cursors_, evaluation_;
};

}  // namespace veomni
