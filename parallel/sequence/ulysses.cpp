#include "parallel/sequence/ulysses.h"

#include <torch/types.h>

#include <numeric>

namespace veomni {

double TokenShare::tokens() const {
  return static_cast<double>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
}

HeadShare::HeadShare(const kernels::AttentionShape& shape, int64_t ranks)
    : query_heads(shape.query_heads / ranks), key_value_heads(query_heads) {
  const int64_t N = shape.query_heads, K = shape.key_value_heads;
  TORCH_CHECK(N % ranks == 0, "ulysses: ", ranks, " ranks must divide the ", N, " query heads");
  if (K % ranks == 0) key_value_heads = K / ranks;
  if (ranks % K == 0) key_value_heads = 1;
  const int64_t all = key_value_heads * ranks;
  for (int64_t head = 0; head < all; ++head) key_value_of.push_back(head * K / all);
}

HeadExchange::HeadExchange(const TokenShare& share, const kernels::AttentionShape& shape)
    : share_(share), shape_(shape), heads_(shape, share.group.size()) {}

kernels::AttentionShape HeadExchange::local_shape() const {
  kernels::AttentionShape local = shape_;
  local.query_heads = heads_.query_heads;
  local.key_value_heads = heads_.key_value_heads;
  return local;
}

/// by_rank [t, S, w]: each rank's columns of every token.
void HeadExchange::send(const at::Tensor& by_rank) {
  const int64_t ranks = by_rank.size(1), width = by_rank.size(2);
  const at::Tensor rows = by_rank.transpose(0, 1).reshape({-1, width});
  RowCounts counts{std::vector<int64_t>(static_cast<size_t>(ranks), own()), share_.counts};
  RowExchange exchange(share_.group, rows, std::move(counts), share_.ledger);
  if (share_.overlap)
    on_their_way_.push_back(std::move(exchange));
  else
    arrived_.push_back(exchange.finish());
}

void HeadExchange::send_query(const at::Tensor& q) {
  send(q.view({q.size(0), share_.group.size(), heads_.query_heads * shape_.head_dim}));
}

void HeadExchange::send_key_value(const at::Tensor& x) {
  const int64_t width = heads_.key_value_heads * shape_.head_dim, ranks = share_.group.size();
  if (heads_.key_value_heads * ranks == shape_.key_value_heads)
    return send(x.view({x.size(0), ranks, width}));
  const at::Tensor which = at::tensor(heads_.key_value_of, at::kLong).to(x.device());
  send(x.view({x.size(0), shape_.key_value_heads, shape_.head_dim})
           .index_select(1, which)
           .view({x.size(0), ranks, width}));
}

at::Tensor HeadExchange::receive() {
  for (RowExchange& exchange : on_their_way_) arrived_.push_back(exchange.finish());
  on_their_way_.clear();
  return at::cat(std::exchange(arrived_, {}), 1);
}

at::Tensor HeadExchange::send_back(const at::Tensor& mixed) const {
  const int64_t ranks = share_.group.size();
  const RowCounts counts{share_.counts, std::vector<int64_t>(static_cast<size_t>(ranks), own())};
  return exchange_rows(share_.group, mixed, counts, share_.ledger)
      .view({ranks, own(), mixed.size(1)})
      .transpose(0, 1)
      .reshape({own(), ranks * mixed.size(1)});
}

}  // namespace veomni
