#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/recipe/recipe.h"

namespace veomni {

/// A directory in Hugging Face's form: it has a config.json, and is no run and no checkpoint of ours.
bool is_model_directory(const std::filesystem::path& path);

/// A recipe that describes the model of such a directory with its text decoder, to compute with and
/// not to train: its data is a placeholder. `key=value` overrides as anywhere, for example
/// train.precision=bf16. Throws ConfigError like read_hugging_face_config and parse_recipe.
Recipe recipe_of_directory(const std::filesystem::path& directory,
                           const std::vector<std::string>& overrides);

}  // namespace veomni
