#pragma once
// From argv to an action; every mistake becomes one line.

#include "cmd/verbs.h"

namespace veomni {

/// The action of `argv`; printing help or the version is one as well. Throws ConfigError on wrong
/// arguments.
Action read_command_line(CLI::App& app, int argc, char** argv);

/// Adds every verb; `action` gets what to run when the command line is parsed.
void add_verbs(CLI::App& app, Action& action);

}  // namespace veomni
