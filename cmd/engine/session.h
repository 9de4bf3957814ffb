#pragma once
// What every verb that computes starts with: ranks, threads, device, groups; and how errors become common to all ranks.

#include <functional>
#include <memory>
#include <string>

#include "core/data/sample.h"
#include "core/recipe/recipe.h"
#include "core/train/model.h"
#include "parallel/comm/mpi.h"
#include "parallel/device.h"
#include "parallel/fsdp/unit.h"
#include "parallel/mesh.h"
#include "parallel/plan/plan.h"

namespace veomni {

/// An error that rank 0 has printed for all.
struct PrintedError {
  int code = 1;
};

class Session {
 public:
  explicit Session(MpiSession& mpi);

  int rank() const { return mpi_.world().rank(); }
  Communicator& world() { return mpi_.world(); }

  /// Runs `phase` on every rank. When it throws on any, all ranks leave with PrintedError, the lowest rank's message
  /// printed once. Collective.
  void together(const std::function<void()>& phase);

  /// Plan, mesh, dataset and model of a recipe, which the session keeps: the model refers to it. `state`: the dataset's of
  /// a checkpoint, or null. What the checkpoint, or else the directory `model.from`, has of the parameters is zero: the
  /// caller loads it. Collective.
  void build(const Recipe& recipe, const Json& state);

  /// The same without a dataset, for a model with so many text ids. Collective.
  void build_model_alone(const Recipe& recipe, int64_t vocab_size);

  const Recipe& recipe() const { return recipe_; }
  const Plan& plan() const { return plan_; }
  const Device& device() const { return device_; }
  Mesh& mesh() { return *mesh_; }
  Dataset& data() { return *data_; }
  Model& model() { return *model_; }
  /// Frees model, data and groups, in this order, before MPI ends.
  void clear();

 private:
  void lay_out(const Recipe& recipe, bool restored);

  MpiSession& mpi_;
  Recipe recipe_;
  Plan plan_;
  Device device_;
  ParallelContext context_;
  std::unique_ptr<Mesh> mesh_;
  std::unique_ptr<Dataset> data_;
  std::unique_ptr<Model> model_;
};

/// Cores this process may use, divided by the ranks that share them.
int threads_for_rank(int local_size);

/// The exit code of the exception being handled, and its one line.
struct Failure {
  int code = 1;
  std::string message;
};
Failure current_failure();

}  // namespace veomni
