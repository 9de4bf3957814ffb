#pragma once
// What the training loop drives. The model itself is assembled in modalities/model.cpp.

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/train/batch.h"
#include "core/train/parameters.h"

namespace veomni {

class Communicator;
struct KeyValueCache;

struct AdamWStep;

/// A term of the objective. Objective = Σ weight · sum / max(1, count), counts over the whole step and all ranks.
struct LossTerm {
  std::string name;  ///< text, a head's name, router_balance or router_z
  double weight = 1;
  bool learned = false;  ///< uncertainty weighting applies (Kendall et al. 2018)
};

/// What one forward needs beyond its batch.
struct ForwardOptions {
  bool train = false;
  uint64_t noise_seed = 0;     ///< of this step: dropout
  std::vector<double> counts;  ///< per loss term, whole step, all ranks; ignored in evaluation
  double step_tokens = 1;      ///< tokens of the whole step, all ranks
  bool first_micro_batch =
      false;  ///< of the whole step: terms that are not sums over samples are added once
  PartUse use;
  /// Called with each intermediate result by name: finds the first that is not finite.
  std::function<void(const std::string&, const at::Tensor&)> probe = {};
};

struct Output {
  at::Tensor objective;  ///< [] f32 with gradient (training only)
  at::Tensor
      sums;  ///< [terms] f64 on the model's device: Σ weight·loss of this micro-batch, no gradient
  at::Tensor
      text_losses;  ///< [T] f32 (evaluation): each token's loss, not weighted, 0 where ignored
  at::Tensor text_correct;  ///< [T] u8 (evaluation)
  std::vector<at::Tensor>
      scores;  ///< per head [n, columns] f32: probabilities or predicted value, for its targets
};

/// A parameter store that is not an FSDP unit: embedding tables (parallel/table.h).
class SparseParameters {
 public:
  virtual ~SparseParameters() = default;
  virtual const std::string& name() const = 0;
  virtual bool frozen() const = 0;  ///< never updated, and without the state of an optimizer
  virtual void reduce_gradients() = 0;
  virtual double gradient_sum_of_squares() const = 0;
  virtual void adamw(const AdamWStep& settings) = 0;
  virtual void sgd(double lr, double gradient_scale) = 0;
  virtual at::Tensor& weight() = 0;  ///< [rows, dim] f32
  virtual at::Tensor& exp_avg() = 0;
  virtual at::Tensor& exp_avg_sq() = 0;
};

class Model {
 public:
  virtual ~Model() = default;
  virtual const std::vector<LossTerm>& losses() const = 0;
  virtual Output forward(const Batch& batch, const ForwardOptions& options) = 0;
  /// Text generation: logits [S, V] f32 of the token after the last of each of the batch's samples.
  /// With a cache the batch holds each text's new tokens alone (positions count from the text's
  /// first), and slots [S] says where what came before is kept; a text's first call brings its first
  /// tokens. Without gradient.
  virtual at::Tensor next_token_logits(const Batch& batch, KeyValueCache* cache = nullptr,
                                       const std::vector<int64_t>& slots = {}) = 0;

  virtual void begin_step(const PartUse& use) = 0;  ///< zeroes gradients, marks units used
  virtual void reduce_gradients() = 0;              ///< collective, after the last backward
  virtual std::vector<Shard*> shards() = 0;
  virtual std::vector<SparseParameters*> tables() = 0;
  /// State that is not a parameter (the MoE layers' fractions): name → tensor, equal on all ranks; stored in checkpoints.
  virtual std::map<std::string, at::Tensor> buffers() = 0;
  /// How many choices of tokens fell on each expert in the last step, [MoE layers, experts] f64 on the host, over all
  /// ranks; undefined without experts. After finish_step.
  virtual at::Tensor expert_loads() const = 0;
  /// Brings buffers up to date after a step. Collective over `data`.
  virtual void finish_step() = 0;

  virtual double flops(const Batch& batch) const = 0;  ///< forward and backward of this batch
  virtual int64_t parameter_count() const = 0;
  virtual int64_t frozen_count() const = 0;  ///< of them, those that train.groups freezes
  /// Whole tensors on every rank, for tests and export. Collective.
  virtual at::Tensor full_parameter(const std::string& name) = 0;
  virtual at::Tensor full_gradient(const std::string& name) = 0;  ///< undefined: frozen
  virtual std::vector<std::string> parameter_names() const = 0;
};

}  // namespace veomni
