#pragma once
// Starter recipes that `veomni new` writes.

#include <string>
#include <vector>

namespace veomni {

/// text, images, recommend, omni
std::vector<std::string> starter_kinds();

/// A commented recipe. Throws ConfigError naming the kinds that exist.
std::string starter_recipe(const std::string& kind);

}  // namespace veomni
