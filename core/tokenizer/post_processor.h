#pragma once
// The special tokens that a tokenizer puts around a whole text: the `post_processor` of a tokenizer
// file.

#include <cstdint>
#include <vector>

#include "core/tokenizer/component.h"

namespace veomni {

struct SpecialTokensAround {
  std::vector<int64_t> before, after;
};

/// TemplateProcessing (its `single`), BertProcessing, RobertaProcessing, ByteLevel, Sequence; a
/// JSON null adds nothing. Pairs of texts are not read. Throws ConfigError `where: …`.
SpecialTokensAround read_post_processor(const FileJson& json, const std::string& where);

}  // namespace veomni
