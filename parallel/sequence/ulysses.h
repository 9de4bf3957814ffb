#pragma once
// Ulysses (Jacobs et al. 2023, arXiv:2309.14509): the ranks of a group share a row of tokens; around attention they trade
// tokens for heads, so that each computes some heads of all tokens.
// T tokens of the row, t those of this rank, S ranks, N query heads, K key-value heads, H head size

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/communicator.h"
#include "kernels/attention.h"
#include "parallel/collectives.h"

namespace veomni {

/// A row of tokens cut over a group, in order.
struct TokenShare {
  Communicator& group;
  std::vector<int64_t> counts;  ///< [S] tokens of each rank; some may be 0
  bool overlap = true;          ///< projections are sent while the next one is computed
  CommLedger* ledger = nullptr;
  double tokens() const;  ///< of the row
};

/// Heads of one rank: N / S query heads, and the key-value heads that they read. Those are K / S; with fewer heads than
/// ranks one each, repeated; and one for each query head where neither number divides the other.
struct HeadShare {
  int64_t query_heads, key_value_heads;
  std::vector<int64_t>
      key_value_of;  ///< [S · key_value_heads] the head of K that each rank's heads are

  /// Throws c10::Error when S does not divide N.
  HeadShare(const kernels::AttentionShape& shape, int64_t ranks);
};

/// Projections of this rank's tokens on their way to attention.
class HeadExchange {
 public:
  HeadExchange(const TokenShare& share, const kernels::AttentionShape& shape);

  /// q [t, N H], then k [t, K H], then v; each is sent at once. Collective.
  void send_query(const at::Tensor& q);
  void send_key_value(const at::Tensor& x);
  /// [T, (N/S + 2 K') H] as packed_attention takes it, of the heads of `local_shape`.
  at::Tensor receive();
  kernels::AttentionShape local_shape() const;

  /// Attention's result [T, N/S H] → [t, N H]. Collective.
  at::Tensor send_back(const at::Tensor& mixed) const;

 private:
  void send(const at::Tensor& by_rank);
  int64_t own() const { return share_.counts[static_cast<size_t>(share_.group.rank())]; }

  const TokenShare& share_;
  kernels::AttentionShape shape_;
  HeadShare heads_;
  std::vector<RowExchange> on_their_way_;
  std::vector<at::Tensor> arrived_;
};

}  // namespace veomni
