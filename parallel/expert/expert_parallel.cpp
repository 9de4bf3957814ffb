#include "parallel/expert/expert_parallel.h"

#include <torch/types.h>

#include <optional>
#include <vector>

#include "parallel/collectives.h"

// R ranks of the group, L = E / R experts of one rank

namespace veomni {
namespace {

/// Some of the tokens on their way to experts and back.
class Dispatch {
 public:
  Dispatch(const RoutedTokens& all, int64_t first, int64_t count, int64_t experts)
      : x_(all.x.narrow(0, first, count)), gates_(all.gates.narrow(0, first, count)) {
    const at::Tensor flat = all.chosen.narrow(0, first, count).reshape({-1});
    const auto [sorted, order] = flat.sort(/*stable=*/true, /*dim=*/0, /*descending=*/false);
    order_ = order;
    counts_ = at::bincount(sorted, {}, experts);
  }

  /// [E] i64: rows for each expert.
  const at::Tensor& counts() const { return counts_; }

  /// received [R, L]: rows that each rank sends for each of this rank's experts.
  void start(const ExpertShare& share, const at::Tensor& received) {
    const int64_t ranks = share.group->size();
    rows_ = {host(counts_.view({ranks, -1}).sum(1)), host(received.sum(1))};
    const at::Tensor local = at::arange(received.size(1), received.options()).repeat({ranks});
    chosen_ = at::repeat_interleave(local, received.reshape({-1}));
    const at::Tensor token = order_.div(gates_.size(1), "floor");
    exchange_.emplace(*share.group, x_.index_select(0, token), rows_, share.ledger);
  }

  void compute(const ExpertShare& share, const RunExperts& run) {
    const at::Tensor rows = exchange_->finish();
    const at::Tensor ones = at::ones({rows.size(0), 1}, gates_.options().requires_grad(false));
    exchange_.emplace(*share.group, run(rows, ones, chosen_.unsqueeze(1)),
                      RowCounts{rows_.receive, rows_.send}, share.ledger);
  }

  at::Tensor finish() {
    const at::Tensor rows = exchange_->finish();
    const at::Tensor place = order_.argsort();
    const at::Tensor chosen =
        rows.index_select(0, place).view({gates_.size(0), gates_.size(1), rows.size(1)});
    return at::matmul(gates_.unsqueeze(1), chosen).squeeze(1);
  }

 private:
  static std::vector<int64_t> host(const at::Tensor& counts) {
    const at::Tensor there = counts.cpu();
    const auto* first = there.const_data_ptr<int64_t>();
    return {first, first + there.numel()};
  }

  at::Tensor x_, gates_, order_, counts_, chosen_;
  RowCounts rows_;
  std::optional<RowExchange> exchange_;
};

/// The counts of all parts, sent to the ranks of the experts in one exchange: [parts, R, L].
at::Tensor exchange_counts(Communicator& group, const std::vector<Dispatch>& parts) {
  const int64_t ranks = group.size();
  std::vector<at::Tensor> own;
  for (const Dispatch& part : parts) own.push_back(part.counts().view({ranks, -1}));
  const at::Tensor send = at::stack(own, 1).contiguous();  // [R, parts, L]
  at::Tensor received = at::empty_like(send);
  const std::vector<int64_t> each(static_cast<size_t>(ranks), send.numel() / ranks);
  group.all_to_all(received, send, each, each);
  return received.transpose(0, 1);
}

}  // namespace

at::Tensor expert_parallel(const RoutedTokens& tokens, int64_t experts, const ExpertShare& share,
                           const RunExperts& run) {
  Communicator& group = *share.group;
  const int64_t count = tokens.x.size(0);
  std::vector<Dispatch> parts;
  for (int64_t i = 0; i < share.parts; ++i) {
    const int64_t first = count * i / share.parts, end = count * (i + 1) / share.parts;
    parts.emplace_back(tokens, first, end - first, experts);
  }
  const at::Tensor received = exchange_counts(group, parts);
  for (size_t i = 0; i < parts.size(); ++i)
    parts[i].start(share, received[static_cast<int64_t>(i)]);
  for (Dispatch& part : parts) part.compute(share, run);
  std::vector<at::Tensor> out;
  for (Dispatch& part : parts) out.push_back(part.finish());
  return out.size() == 1 ? out[0] : at::cat(out);
}

}  // namespace veomni
