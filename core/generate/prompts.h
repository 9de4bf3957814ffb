#pragma once
// Prompts as the command line and files give them.

#include <cstdint>
#include <string>
#include <vector>

#include "core/data/sample.h"
#include "core/json.h"

namespace veomni {

struct Prompt {
  std::string text = {};          ///< of text prompts, as given
  std::vector<int64_t> ids = {};  ///< of id prompts; text prompts get theirs from encode_prompts
  bool is_text = true;
  std::string where = {};  ///< for errors: "--prompt", "FILE:3"
  Json messages = nullptr,
       tools = nullptr;  ///< of a conversation; its text comes from render_messages
};

/// Throws ConfigError `where: invalid UTF-8 at byte N; …`.
void check_utf8(const std::string& text, const std::string& where);

/// "1,2,3" → ids; spaces around numbers are allowed. Throws ConfigError `where: …`.
std::vector<int64_t> parse_ids(const std::string& text, const std::string& where);

/// The prompts of a file, in order. FILE.jsonl: one JSON value a line, a text, a list of ids, or an
/// object with "prompt" (text or ids) or "input_ids"; any other file: one text a line. Throws
/// ConfigError `FILE:LINE: …` for a line that is neither, and for a file without a prompt.
std::vector<Prompt> read_prompts(const std::string& file);

/// Conversations to answer: FILE.jsonl has one a line, any other file is one. Each is a list of messages, or an object
/// with "messages" and perhaps "tools". Throws ConfigError `FILE:LINE: …`.
std::vector<Prompt> read_conversations(const std::string& file);

/// Gives conversations their texts, by the chat template of the tokenizer at `tokenizer_path` (empty: the model has
/// none). Throws ConfigError naming the prompt.
void render_messages(std::vector<Prompt>& prompts, const std::string& tokenizer_path,
                     const std::string& model);

/// How prompts become ids.
struct PromptEncoding {
  const Tokenizer* tokenizer = nullptr;  ///< null: only ids can be given
  std::string model;                     ///< for errors
  bool special_tokens =
      false;                ///< those the tokenizer puts around a text; a conversation has its own
  int64_t vocab_size = 0;   ///< of the model
  int64_t most_tokens = 0;  ///< a prompt has at most so many; 0: any number
};

/// Fills the ids of text prompts. Throws ConfigError naming the prompt: text without a tokenizer or
/// with what it cannot encode, no token, an id the model does not have, too many.
void encode_prompts(std::vector<Prompt>& prompts, const PromptEncoding& encoding);

}  // namespace veomni
