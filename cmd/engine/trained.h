#pragma once
// What eval and generate start with: a trained or imported model, ready on all ranks.

#include <cstdint>

#include "cmd/engine/request.h"
#include "cmd/engine/session.h"

namespace veomni {

/// Finds the recipe and checkpoint that the request names: target a recipe file (a checkpoint of its output) or a
/// checkpoint's directory; option `checkpoint`: auto (the newest), a step or a path. Then builds dataset and model in
/// `session`, loads the parameters, and returns the checkpoint's step. A recipe with model.from that has no checkpoint
/// (auto) gets the weights of that directory, and step 0; rank 0 says so on standard error. Collective; errors leave on all
/// ranks as Session::together's.
int64_t load_trained(Session& session, const Request& request);

}  // namespace veomni
