#pragma once
// How text is generated; names are those of transformers' GenerationConfig where it has them.

#include <cstdint>
#include <string>
#include <vector>

namespace veomni {

struct GenerationSettings {
  int64_t max_new_tokens = 256;              ///< of each text
  double temperature = 1;                    ///< 0: always the likeliest token
  int64_t top_k = 0;                         ///< 0: all
  double top_p = 1, min_p = 0;               ///< 1 and 0: all
  double repetition_penalty = 1;             ///< 1: none
  uint64_t seed = 1;                         ///< a text depends on its prompt and the seed alone
  std::vector<int64_t> stop_ids = {};        ///< such a token is a text's last
  std::vector<std::string> stop_texts = {};  ///< a text ends before the first of them
  int64_t max_length = 0;  ///< most tokens of a prompt and its continuation together; 0: no bound
  int64_t vocab_size = 0;  ///< ids from here on are never chosen; 0: all may be
  int64_t context = 0;     ///< most tokens the model reads at a time; 0: no bound
  /// What happens at the bound. True: the older half of the tokens is forgotten, and the model reads
  /// the others anew. False: the text ends there, and a prompt must be shorter.
  bool rolls = false;
  int64_t batch_size = 32;  ///< texts that are written side by side
};

}  // namespace veomni
