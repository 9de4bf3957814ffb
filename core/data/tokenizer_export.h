#pragma once
// A recipe's tokenizer as the files of a Hugging Face directory.

#include <filesystem>

#include "core/json.h"

namespace veomni {

/// The tokenizer.json of `characters` or `bytes` from what Tokenizer::state() gave: the same ids for the same text, in
/// transformers and here. (A character that the vocabulary lacks gives no id there; here it is an error.) Null for the
/// state of a file.
Json tokenizer_json_of(const Json& state);

/// Writes the tokenizer's files into `directory`: tokenizer.json with a tokenizer_config.json for characters and bytes; for
/// the recipe's `tokenizer` path its file, under its usual name and not compressed, with the files that transformers keeps
/// beside it. Throws ConfigError where it is another file than the one that `state` is of.
void write_tokenizer(const Json& state, const std::string& recipe_kind,
                     const std::filesystem::path& directory);

}  // namespace veomni
