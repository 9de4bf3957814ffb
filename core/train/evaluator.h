#pragma once
// Evaluation of every source that has an eval split, each sample once, with the metrics of its own tasks.

#include <cstdint>
#include <vector>

#include "core/json.h"
#include "core/recipe/recipe.h"

namespace veomni {

class Communicator;
class Dataset;
class Model;
class TokenLosses;
struct Sample;

/// Who takes part in an evaluation: everybody, the ranks that share the samples, and those that share their tokens. They
/// carry host tensors.
struct EvaluationGroups {
  Communicator &world, &data, &sequence;
};

class Evaluator {
 public:
  /// All ranks of the world call run().
  Evaluator(const Recipe& recipe, const Dataset& data, Model& model, EvaluationGroups groups);

  /// {source: {loss, …}} on every rank. A source with one task has that task's metrics under their own names (accuracy),
  /// one with several has an object a task (visit: {auc, …}). `limit`: at most so many samples a source; 0: all. `tokens`,
  /// where given, gets every sample's token losses. Collective.
  Json run(int64_t limit, TokenLosses* tokens = nullptr);

 private:
  struct Sums;
  Json run_source(int32_t source, int64_t limit, TokenLosses* tokens);
  /// The losses [T] f32 of this rank's text tokens, not weighted; undefined where the source has no text.
  at::Tensor run_chunk(int32_t source, int64_t begin, const std::vector<Sample>& samples,
                       Sums& sums);
  at::Tensor whole_row(const at::Tensor& losses);
  Json report(int32_t source, Sums& sums);

  const Recipe& recipe_;
  const Dataset& data_;
  Model& model_;
  EvaluationGroups groups_;
};

/// Metrics of one head by its spec's list (accuracy, auc, rmse …); those that are undefined are null.
struct Prediction;
Json head_metrics(const PartConfig& head, const std::vector<Prediction>& predictions);

}  // namespace veomni
