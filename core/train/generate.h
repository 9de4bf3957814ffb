#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace veomni {

class Dataset;
class Model;
class Tokenizer;
struct Recipe;

struct GenerateSettings {
  int64_t tokens = 200;
  double temperature = 0.8;  ///< 0: the most probable token each time
  int64_t top_k = 0;         ///< 0: all
  uint64_t seed = 1;
  int64_t context = 0;  ///< at most so many last tokens are read; 0: all
};

/// Continues `prompt`, calling `piece` with each new text as it comes (may be empty). Every rank calls it with the same
/// arguments and gets the same text. The context is computed anew for each token. Throws ConfigError for text the
/// tokenizer does not know, and for an empty prompt.
std::string generate_text(Model& model, const Tokenizer& tokenizer, const std::string& prompt,
                          const GenerateSettings& settings,
                          const std::function<void(const std::string&)>& piece);

/// Longest text window the recipe trains on: generation reads no further back than the model has seen.
int64_t text_context(const Recipe& recipe);

}  // namespace veomni
