#pragma once
// The tokenizers that need no files: code points and bytes.

#include <functional>
#include <memory>
#include <string_view>

#include "core/data/sample.h"

namespace veomni {

/// Calls its argument with each text the vocabulary must cover; the second argument says where it
/// comes from.
using TextStream =
    std::function<void(const std::function<void(std::string_view, const std::string&)>&)>;

/// `characters`: ids are the places of the distinct UTF-8 code points of all texts, in ascending
/// order. `bytes`: 256 ids. Throws ConfigError for other kinds, and `where: invalid UTF-8 at byte
/// N; …` for texts that are not UTF-8.
std::unique_ptr<Tokenizer> make_tokenizer(const std::string& kind, const TextStream& texts);

/// A tokenizer from what its `state` gave.
std::unique_ptr<Tokenizer> restore_tokenizer(const Json& state);

}  // namespace veomni
