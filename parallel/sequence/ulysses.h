#pragma once
// Ulysses (Jacobs et al. 2023, arXiv:2309.14509): the ranks of a group share a row of tokens; around attention they trade
// tokens for heads, so that each computes some heads of all tokens.
// T tokens of the row, t those of this rank, S ranks, N query heads, K key-value heads, H head size, G groups of heads

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
  bool overlap = true;  ///< what is sent travels while the next projection or heads are computed
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
  /// Into how many parts they may go one after the other: 4, 3 or 2 where that divides key_value_heads = K / S.
  int64_t most_groups(const kernels::AttentionShape& shape, int64_t ranks) const;
};

/// Attention of a shared row, in G groups of each rank's heads. While a projection is computed, the one before travels; while
/// a group's attention is computed, the last projections and the result of the group before. So the result of the last group
/// alone has nothing to hide behind, and in backward its gradient: 1 / 4G of all that travels. G is 1 without overlap, where
/// heads cannot be split, and for few tokens, whose messages cost more to start than to send.
///
/// Use, all of it collective: for each weight of by_group in turn send(its projection); then, G times,
/// send_back(attention of receive()); then finish().
class HeadExchange {
 public:
  static constexpr int64_t kGroupTokens =
      512;  ///< of the row per rank, from which on heads go in groups

  HeadExchange(const TokenShare& share, const kernels::AttentionShape& shape);

  int64_t groups() const { return groups_; }
  /// weight [(N + 2K) H, …] as packed_attention wants its product, or a bias → 3G pieces: those that give the queries, keys
  /// and values of the first group of every rank, then of the second.
  std::vector<at::Tensor> by_group(const at::Tensor& weight) const;
  /// The next projection of this rank's tokens, [t, rows of its weight]; on its way at once.
  void send(const at::Tensor& projection);
  /// The next group, [T, (N/S + 2 K') / G · H] as packed_attention takes it, of the heads of `local_shape`.
  at::Tensor receive();
  kernels::AttentionShape local_shape() const;
  /// Attention's result of the next group, [T, N/S/G H].
  void send_back(const at::Tensor& mixed);
  /// [t, N H]: all heads of this rank's tokens.
  at::Tensor finish();

 private:
  struct Travelling {
    RowExchange exchange;
    at::Tensor arrived;  ///< without overlap: it was waited for at once
    at::Tensor take();
  };
  Travelling start(const at::Tensor& rows, bool back) const;
  std::vector<int64_t> head_order() const;
  int64_t own() const { return share_.counts[static_cast<size_t>(share_.group.rank())]; }
  int64_t ranks() const { return share_.group.size(); }

  const TokenShare& share_;
  kernels::AttentionShape shape_;
  HeadShare heads_;
  int64_t groups_ = 1;
  std::vector<Travelling> projections_, results_;
  size_t received_ = 0;  ///< of the projections
};

}  // namespace veomni
