#pragma once
// Checkpoints: a directory of safetensors shards and a manifest.json (design: section 11). No
// LibTorch: callers pass ranges of memory. A directory with its final name is complete, always: it
// is written as `.step-00000100.partial`, synced, and renamed last.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"

namespace veomni {

/// A contiguous range of a flattened tensor, in memory.
struct TensorRange {
  std::string name;            ///< parameter, or optimizer.exp_avg.<parameter>, or buffer.<name>
  std::string dtype = "F32";   ///< as safetensors spells it: F32, F64, I64, I32, U8, BF16
  std::vector<int64_t> shape;  ///< of the whole tensor
  int64_t begin = 0, end = 0;  ///< elements
  void* data = nullptr;        ///< of element `begin`
};

std::string checkpoint_name(int64_t step);  ///< step-00000100

/// Whether a checkpoint's manifest lies in `directory`. Throws ConfigError where it cannot be told.
bool is_checkpoint(const std::filesystem::path& directory);

/// Step 1, every rank: writes and syncs `shard-RRRRR.safetensors`; the caller's barrier follows. A
/// rank that owns nothing passes no ranges: no file is written, and one left by a killed run is
/// removed. Each element of a tensor is passed by one rank only. Throws ConfigError when the disk
/// refuses (older checkpoints stay as they are).
void write_checkpoint_shard(const std::filesystem::path& checkpoints, int64_t step, int rank,
                            const std::vector<TensorRange>& ranges);

/// Step 2, rank 0 only: checks that the shards cover every tensor exactly, writes manifest.json
/// (`state`: cursors, schedule, recipe, anything else that is JSON; plus ranges and checksums),
/// syncs and renames. A checkpoint of the same step is replaced. Then removes leftovers of killed
/// runs, and of this and earlier steps all but the newest `keep` (0: none are removed). Checkpoints
/// of later steps, left when a run was resumed from an earlier one, stay.
void finish_checkpoint(const std::filesystem::path& checkpoints, int64_t step, int ranks,
                       const Json& state, int64_t keep);

/// Rank 0, before the first write of a run, a barrier after it: removes what killed runs left half
/// done.
void remove_leftovers(const std::filesystem::path& checkpoints);

/// Steps of the complete checkpoints, ascending. Leftovers of killed runs are ignored.
std::vector<int64_t> list_checkpoints(const std::filesystem::path& checkpoints);

/// 16 hexadecimal digits that tell whether two recipes are the same.
std::string recipe_hash(const Json& recipe);

class Checkpoint {
 public:
  /// Opens and verifies the manifest and every shard's header and size. Throws ConfigError naming
  /// file and byte.
  explicit Checkpoint(const std::filesystem::path& directory);
  int64_t step() const;
  const Json& state() const;
  const std::string& recipe_hash() const;  ///< of state()["recipe"]; empty when the state has none
  const std::filesystem::path& directory() const;
  bool has(const std::string& name) const;
  /// Throw ConfigError on absent names.
  std::vector<int64_t> shape(const std::string& name) const;
  const std::string& dtype(const std::string& name) const;
  std::vector<std::string> names() const;  ///< sorted
  /// Fills range.data from whichever shards hold [begin, end). The first read of a stored range
  /// checks its checksum. Throws ConfigError on absent names, other shape or dtype, damaged data.
  /// Thread-safe.
  void read(const TensorRange& range) const;
  /// Checks the checksums of all data (veomni inspect).
  void verify() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// --resume auto|STEP|PATH → the directory; nothing when `auto` finds none. `auto` is the highest
/// step; PATH is a checkpoint, or a run directory (its highest step). Throws ConfigError naming
/// `option` and what exists.
std::optional<std::filesystem::path> find_checkpoint(const std::filesystem::path& run,
                                                     const std::string& resume,
                                                     const std::string& option = "--resume");

}  // namespace veomni
