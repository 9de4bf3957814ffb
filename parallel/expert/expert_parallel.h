#pragma once
// Experts that the ranks of a group share: every token's row goes to the ranks of its experts and comes back (Lepikhin et
// al. 2020, arXiv:2006.16668), none is dropped. t tokens of this rank, k experts a token, E experts, D model

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "core/comm_ledger.h"
#include "core/communicator.h"

namespace veomni {

/// Rank r of R holds experts [r E / R, (r + 1) E / R).
struct ExpertShare {
  Communicator* group = nullptr;
  /// Tokens go in so many parts, each travelling while others are computed: what shows is the first part's way there and
  /// the last one's way back. 1: all at once. The same on all ranks.
  int parts = 2;
  CommLedger* ledger = nullptr;
};

/// What the router has chosen.
struct RoutedTokens {
  at::Tensor x;       ///< [t, D]
  at::Tensor gates;   ///< [t, k] of x's dtype
  at::Tensor chosen;  ///< [t, k] i64 in [0, E)
};

/// Computes rows [n, D] by this rank's experts: gates [n, 1] are ones, chosen [n, 1] counts from its first expert.
using RunExperts = std::function<at::Tensor(const at::Tensor& rows, const at::Tensor& gates,
                                            const at::Tensor& chosen)>;

/// out[t] = Σ_j gates[t, j] · expert chosen[t, j] of x[t]: [t, D]. Differentiable in x, gates and what `run` uses.
/// Collective over share.group, in backward too.
at::Tensor expert_parallel(const RoutedTokens& tokens, int64_t experts, const ExpertShare& share,
                           const RunExperts& run);

}  // namespace veomni
