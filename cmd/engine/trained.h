#pragma once
// What eval and generate start with: a trained or imported model, ready on all ranks.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cmd/engine/request.h"
#include "cmd/engine/session.h"
#include "core/checkpoint/checkpoint.h"

namespace veomni {

/// A recipe and the checkpoint to compute it with.
struct Trained {
  Recipe recipe;
  std::optional<Checkpoint> checkpoint;  ///< none: the weights of recipe.from
};

/// target: a recipe file (a checkpoint of its output), a run's directory, or a checkpoint's. `which`: auto (the newest),
/// a step or a path; none is found only for a recipe with model.from. Throws ConfigError.
Trained find_trained(const std::string& target, const std::vector<std::string>& overrides,
                     const std::string& which);

/// Finds the recipe and checkpoint that the request names: target a recipe file (a checkpoint of its output) or a
/// checkpoint's directory; option `checkpoint`: auto (the newest), a step or a path. Then builds dataset and model in
/// `session`, loads the parameters, and returns the checkpoint's step. A recipe with model.from that has no checkpoint
/// (auto) gets the weights of that directory, and step 0; rank 0 says so on standard error. Collective; errors leave on all
/// ranks as Session::together's.
int64_t load_trained(Session& session, const Request& request);

}  // namespace veomni
