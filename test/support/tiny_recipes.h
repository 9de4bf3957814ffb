#pragma once
// Small recipes on made-up data. No LibTorch.

#include <filesystem>
#include <string>

namespace veomni::test {

/// Writes text, images and customers into `folder` and returns the path of a recipe over them: every kind of part.
std::string write_omni_recipe(const std::filesystem::path& folder);
/// A mixture of experts on text.
std::string write_moe_recipe(const std::filesystem::path& folder);

}  // namespace veomni::test
