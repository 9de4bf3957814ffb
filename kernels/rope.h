#pragma once
// How fast the pairs of a rotary embedding turn, and how long contexts slow them down.

#include <compare>
#include <cstdint>
#include <vector>

namespace at {
class Tensor;
}

namespace veomni::kernels {

struct AttentionShape;

/// Scaled rotary positions as transformers computes them (modeling_rope_utils.py); names are those of its
/// `rope_parameters`.
struct RopeScaling {
  enum class Type {
    none,
    linear,   ///< all frequencies divided by factor (Chen et al. 2023, arXiv:2306.15595)
    dynamic,  ///< NTK-aware: theta grows with the length of a sample beyond the original one
    llama3,   ///< long waves divided by factor, short ones kept (Llama 3.1's model card)
    yarn  ///< likewise by the number of turns in the original length (Peng et al. 2023, arXiv:2309.00071)
  };
  Type type = Type::none;
  double factor = 1;
  double original_max_position_embeddings = 0;                 ///< tokens; dynamic, llama3 and yarn
  double low_freq_factor = 1, high_freq_factor = 4;            ///< llama3
  double beta_fast = 32, beta_slow = 1, attention_factor = 1;  ///< yarn
  bool truncate = true;                                        ///< yarn: ramp between whole dims
  auto operator<=>(const RopeScaling&) const = default;
};

/// Radians a position of the dims / 2 pairs, in a sample of `length` tokens. The length matters to `dynamic` alone, and
/// only beyond the original one. Sines and cosines are multiplied by attention_factor besides (yarn).
std::vector<double> rope_frequencies(double theta, int64_t dims, const RopeScaling& scaling,
                                     int64_t length);

/// The same for a packed row: [1, R/2] f64 on the host, or [T, R/2] where samples differ (dynamic; transformers takes
/// the longest of a batch instead, which is the same for samples of one length). Rows past cu_seqlens: any.
at::Tensor rope_frequency_rows(const AttentionShape& shape, const at::Tensor& cu_seqlens,
                               int64_t tokens);

/// Radians that every pair of every token turns by, [T, R/2] f64, for positions [3, T]: each section of pairs by its row
/// (Wang et al. 2024, arXiv:2409.12191, section 2.1).
at::Tensor rope_angles(const AttentionShape& shape, const at::Tensor& positions);

}  // namespace veomni::kernels
