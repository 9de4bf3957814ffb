#pragma once
// The training state as ranges of memory: what a checkpoint holds of model and optimizer.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/json.h"

namespace veomni {

class Communicator;
class Model;
class Optimizer;

struct SnapshotSettings {
  std::filesystem::path checkpoints;
  int64_t step = 0;
  int64_t keep = 2;
  bool writes = true;  ///< of the ranks that hold the same shard, one writes it
};

/// Every rank writes what it owns, rank 0 completes the directory. `state`: of rank 0. Collective over world.
void save_snapshot(Model& model, Optimizer& optimizer, Communicator& world,
                   const SnapshotSettings& settings, const Json& state);

/// Reads what this rank owns, from a checkpoint of any number of ranks. `optimizer` null: parameters and buffers only.
/// Throws ConfigError naming the tensor when the checkpoint is of another model.
void load_snapshot(const Checkpoint& checkpoint, Model& model, Optimizer* optimizer);

}  // namespace veomni
