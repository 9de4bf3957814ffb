#pragma once
// The tokenizers that a recipe can name: code points, bytes, or a file (core/tokenizer).

#include <functional>
#include <memory>
#include <string_view>

#include "core/data/sample.h"
#include "core/tokenizer/post_processor.h"

namespace veomni {

/// Calls its argument with each text the vocabulary must cover; the second argument says where it
/// comes from.
using TextStream =
    std::function<void(const std::function<void(std::string_view, const std::string&)>&)>;

/// `characters`: ids are the places of the distinct UTF-8 code points of all texts, in ascending
/// order. `bytes`: 256 ids. Any other kind is the path of a tokenizer.json or tokenizer.model, or of
/// a directory that holds one. Throws ConfigError, and `where: invalid UTF-8 at byte N; …` for texts
/// that are not UTF-8.
std::unique_ptr<Tokenizer> make_tokenizer(const std::string& kind, const TextStream& texts);

/// True when a recipe's `tokenizer` is a path.
bool is_tokenizer_file(const std::string& kind);

/// What stands around a whole text, as transformers puts it there (add_special_tokens): BOS before it, EOS behind, by the
/// post-processor of the tokenizer's file. Nothing for characters and bytes.
SpecialTokensAround special_tokens_around(const Tokenizer& tokenizer);

/// A tokenizer from what its `state` gave. That of a file is read from the path `recipe_kind`;
/// throws ConfigError where it is another file than then.
std::unique_ptr<Tokenizer> restore_tokenizer(const Json& state,
                                             const std::string& recipe_kind = "");

}  // namespace veomni
