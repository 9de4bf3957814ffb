#pragma once
// Small recipes on made-up data. No LibTorch.

#include <filesystem>
#include <string>

#include "core/json.h"

namespace veomni::test {

/// Writes text, images and customers into `folder` and returns the path of a recipe over them: every kind of part.
std::string write_omni_recipe(const std::filesystem::path& folder);
/// The same parts and data, but a pack of 252 tokens is one text or many images and customers: most steps have packs
/// without any image beside packs with dozens.
std::string write_uneven_recipe(const std::filesystem::path& folder);
/// A mixture of experts on text.
std::string write_moe_recipe(const std::filesystem::path& folder);
/// A text model that starts from a Hugging Face directory; `changes` is merged into the recipe (RFC 7386).
std::string write_from_recipe(const std::filesystem::path& folder,
                              const std::filesystem::path& directory, const Json& changes);

/// For `changes`: samples of 24 ids below 48 instead of text, for models whose vocabulary is smaller than the bytes.
/// Writes them into `folder`.
Json token_data(const std::filesystem::path& folder);

}  // namespace veomni::test
