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

int64_t HeadShare::most_groups(const kernels::AttentionShape& shape, int64_t ranks) const {
  if (key_value_heads * ranks != shape.key_value_heads) return 1;
  for (const int64_t groups : {4, 3, 2})
    if (key_value_heads % groups == 0) return groups;
  return 1;
}

HeadExchange::HeadExchange(const TokenShare& share, const kernels::AttentionShape& shape)
    : share_(share), shape_(shape), heads_(shape, share.group.size()) {
  if (share.overlap && share.tokens() >= static_cast<double>(kGroupTokens * ranks()))
    groups_ = heads_.most_groups(shape, ranks());
}

kernels::AttentionShape HeadExchange::local_shape() const {
  kernels::AttentionShape local = shape_;
  local.query_heads = heads_.query_heads / groups_;
  local.key_value_heads = heads_.key_value_heads / groups_;
  return local;
}

/// Heads of q, k and v counted through, in the order in which the groups go.
std::vector<int64_t> HeadExchange::head_order() const {
  std::vector<int64_t> order;
  const auto add = [&](int64_t first, int64_t of_rank, int64_t group) {
    const int64_t count = of_rank / groups_;
    for (int64_t rank = 0; rank < ranks(); ++rank)
      for (int64_t head = 0; head < count; ++head)
        order.push_back(first + rank * of_rank + group * count + head);
  };
  for (int64_t group = 0; group < groups_; ++group) {
    add(0, heads_.query_heads, group);
    add(shape_.query_heads, heads_.key_value_heads, group);
    add(shape_.query_heads + shape_.key_value_heads, heads_.key_value_heads, group);
  }
  return order;
}

std::vector<at::Tensor> HeadExchange::by_group(const at::Tensor& weight) const {
  const int64_t q = shape_.query_heads * shape_.head_dim / groups_,
                kv = shape_.key_value_heads * shape_.head_dim / groups_;
  std::vector<int64_t> sizes;
  for (int64_t group = 0; group < groups_; ++group) sizes.insert(sizes.end(), {q, kv, kv});
  if (groups_ == 1) return weight.split_with_sizes(sizes);
  const at::Tensor order = at::tensor(head_order(), at::kLong).to(weight.device());
  return weight.view({order.size(0), weight.numel() / order.size(0)})
      .index_select(0, order)
      .view(weight.sizes())
      .split_with_sizes(sizes);
}

/// rows: for each rank in turn; back: results, to the ranks whose tokens they are of.
HeadExchange::Travelling HeadExchange::start(const at::Tensor& rows, bool back) const {
  const std::vector<int64_t> mine(static_cast<size_t>(ranks()), own());
  RowExchange exchange(share_.group, rows,
                       back ? RowCounts{share_.counts, mine} : RowCounts{mine, share_.counts},
                       share_.ledger);
  if (share_.overlap) return {std::move(exchange), {}};
  const at::Tensor arrived = exchange.finish();
  return {std::move(exchange), arrived};
}

at::Tensor HeadExchange::Travelling::take() {
  return arrived.defined() ? std::exchange(arrived, {}) : exchange.finish();
}

void HeadExchange::send(const at::Tensor& projection) {
  const bool query = projections_.size() % 3 == 0;
  const int64_t heads = query ? heads_.query_heads : heads_.key_value_heads;
  at::Tensor x = projection;
  if (!query && heads * ranks() != shape_.key_value_heads) {  // some are sent to several ranks
    const at::Tensor which = at::tensor(heads_.key_value_of, at::kLong).to(x.device());
    x = x.view({x.size(0), shape_.key_value_heads, shape_.head_dim}).index_select(1, which);
  }
  const int64_t width = heads / groups_ * shape_.head_dim;
  projections_.push_back(
      start(x.view({x.size(0), ranks(), width}).transpose(0, 1).reshape({-1, width}), false));
}

at::Tensor HeadExchange::receive() {
  std::vector<at::Tensor> group;
  for (int i = 0; i < 3; ++i) group.push_back(projections_.at(received_++).take());
  return at::cat(group, 1);
}

void HeadExchange::send_back(const at::Tensor& mixed) { results_.push_back(start(mixed, true)); }

at::Tensor HeadExchange::finish() {
  std::vector<at::Tensor> groups;
  for (Travelling& result : results_) {
    const at::Tensor rows = result.take();
    groups.push_back(rows.view({ranks(), own(), rows.size(1)}));
  }
  const at::Tensor all = at::stack(groups, 2);  // [S, t, G, N/S/G H]
  return all.transpose(0, 1).reshape({own(), shape_.query_heads * shape_.head_dim});
}

}  // namespace veomni
