#pragma once
// What a run's data files hold, wherever they lie: a run may go on after they have moved, but not on other data.

#include "core/json.h"

namespace veomni {

struct Recipe;

/// {source: {"path": [{"bytes": …, "checksum": …}, …], "labels": […]}}, in the recipe's order of files. A file is known by
/// its size and the checksum of all its bytes; a folder of images by the names and sizes of the files below it, not by
/// their pixels; a manifest by its own bytes. Throws ConfigError when a file cannot be read.
Json data_fingerprint(const Recipe& recipe);

}  // namespace veomni
