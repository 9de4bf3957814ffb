#pragma once
// A session that starts from the weights of a model directory.

#include <memory>
#include <string>

#include "cmd/engine/session.h"

namespace veomni {

/// Checks the weights that `recipe.from` names against its config.json, builds the session and loads them. Returns what
/// there is to say of it, on rank 0: `loaded 1.00 GB from DIR in 0.31 s (at most 1010 MB more memory for 1000 MB of
/// parameters a rank)`. Collective.
std::string build_from_directory(Session& session, const Recipe& recipe);

}  // namespace veomni
