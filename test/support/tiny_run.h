#pragma once
// Trainings of the small recipes in this process: what the tests of model, loop and resume share.

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/communicator.h"
#include "core/recipe/recipe.h"
#include "core/train/trainer.h"
#include "support/temp_dir.h"
#include "support/tiny_recipes.h"

namespace veomni::test {

struct RunOptions {
  int replicate = 1, shard = 1, sequence = 1, expert = 1;
  std::vector<std::string> overrides = {};
  std::string resume = {};      ///< a checkpoint's directory; empty: fresh
  bool keep_gradients = false;  ///< of the first step
  bool accumulate = false;      ///< each pack a micro-batch of its own
  std::string device = "cpu";   ///< cuda: the ranks share the machine's GPUs
  std::function<void(Communicator&)> before_run = {};
};

struct RunOutcome {
  std::vector<Json> steps;  ///< lines of metrics.jsonl: one a step
  Json evaluation;
  TrainResult result;
  std::map<std::string, at::Tensor> parameters;  ///< whole, after the last step
  std::map<std::string, at::Tensor> gradients;   ///< of the first step
};

/// Trains on replicate × shard × sequence rank threads; what rank 0 saw.
RunOutcome run_recipe(const std::string& recipe_path, const RunOptions& options);

/// Opens `device` in this rank's thread; whether it is cuda.
bool open_shared_device(const std::string& device, const Communicator& world);

/// ‖a − b‖ / ‖b‖ in f64; 0 when both are zero.
double relative_difference(const at::Tensor& a, const at::Tensor& b);

/// What run_recipe does first: modalities' parts, and those of the tests' own tree. Once a process.
void register_all_parts();

}  // namespace veomni::test
