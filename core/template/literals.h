#pragma once
// Numbers and texts in the tags of a template, as Python writes them.

#include "core/template/lexer.h"

namespace veomni::jinja {

/// The number or text that starts at byte `at`, into `token`; returns the byte behind it. Throws
/// ConfigError.
size_t read_number(const Source& source, size_t at, Token& token);
size_t read_text(const Source& source, size_t at, Token& token);

}  // namespace veomni::jinja
