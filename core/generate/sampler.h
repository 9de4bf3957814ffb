#pragma once
// From the logits after a text to its next token. V vocabulary

#include <cstdint>
#include <span>
#include <vector>

#include "core/generate/settings.h"

namespace veomni {

/// One token that may come next.
struct Candidate {
  int64_t id = 0;
  double probability = 0;  ///< of all candidates they sum to 1
};

class Sampler {
 public:
  explicit Sampler(const GenerationSettings& settings) : settings_(settings) {}

  /// What may follow `ids` (prompt included), in ascending order of ids. In turn, as transformers'
  /// logits processors: the logits of ids in the text are divided (negative ones multiplied) by the
  /// repetition penalty (Keskar et al. 2019, arXiv:1909.05858); temperature; top-k (ties with the
  /// k-th stay); top-p, the smallest set of likeliest tokens with more than top_p in sum (Holtzman
  /// et al. 2019, arXiv:1904.09751); min-p, a share of the likeliest (Nguyen et al. 2024,
  /// arXiv:2407.01082). At temperature 0 only the likeliest, of equals the first.
  ///
  /// logits [V], overwritten. Throws ConfigError when none is a number.
  std::vector<Candidate> candidates(std::span<float> logits, const std::vector<int64_t>& ids) const;

  /// Draws the text's `step`-th new token (from 0). The same (seed, step) draws the same place of
  /// the distribution, whatever else is generated.
  int64_t choose(std::span<float> logits, const std::vector<int64_t>& ids, int64_t step) const;

 private:
  void penalize(std::span<float> logits, const std::vector<int64_t>& ids) const;
  void keep_top_k(std::vector<Candidate>& all) const;
  void keep_top_p(std::vector<Candidate>& all) const;

  GenerationSettings settings_;
};

/// Uniform in [0, 1), 53 bits: Philox (core/philox.h) at (seed, step).
double uniform_at(uint64_t seed, int64_t step);

}  // namespace veomni
