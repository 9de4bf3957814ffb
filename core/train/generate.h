#pragma once
// Text generation: a batch of prompts, each continued as if it were alone.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/generate/settings.h"

namespace veomni {

class Communicator;
class Model;
class Tokenizer;
struct Recipe;

struct Generated {
  std::vector<int64_t> ids;  ///< new tokens, the stop token among them
  std::string text;          ///< theirs, up to a stop text; empty without a tokenizer
  bool stopped = false;      ///< by a stop token or a stop text, not by its length
};

/// What is told while texts are written; either may be empty.
struct GenerationEvents {
  /// A new token of a prompt, and the text that is certain now (may be empty; id -1: the rest).
  std::function<void(size_t prompt, int64_t id, const std::string& piece)> token;
  std::function<void(size_t prompt, const Generated&)> done;  ///< not in the prompts' order
};

struct GenerationInput {
  Model& model;
  const Tokenizer* tokenizer = nullptr;  ///< null: only ids are made
  Communicator& world;
  GenerationSettings settings;
};

/// Continues the prompts (ids, at least one each). settings.batch_size texts are written at a time;
/// a finished one makes room for the next prompt. Every rank calls it with the same arguments and
/// gets the same texts: rank 0 chooses the tokens. Throws ConfigError when logits are not finite.
std::vector<Generated> generate(const GenerationInput& input,
                                const std::vector<std::vector<int64_t>>& prompts,
                                const GenerationEvents& events = {});

/// How many tokens of a text a model reads that was trained with this recipe: the longest sample it
/// can have seen, or where it started from a model directory that one's `max_position_embeddings`.
int64_t text_context(const Recipe& recipe);

}  // namespace veomni
