#pragma once
// libveomni_engine.so holds LibTorch and everything that computes; it is loaded only by verbs that
// need it.

#include <string>

#include "core/json.h"

namespace veomni {

/// The folder of this executable.
std::string program_folder();

/// `name` beside the executable or in ../lib; empty when it stands in neither.
std::string library_path(const std::string& name);

/// Loads the engine and runs `request`: {"verb", "recipe", "overrides": […], "options": {…}}.
/// Returns its exit code; the engine prints its own errors. Throws ConfigError when the library
/// cannot be loaded.
int run_engine(const Json& request);

}  // namespace veomni
