#pragma once
// Collectives with gradients. Each goes in two halves, so that what stands between them runs while the data travel: in
// forward between start and finish, in backward between the gradients' start (finish's) and finish (start's).

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/comm_ledger.h"
#include "core/communicator.h"

namespace veomni {

/// Rows that go to each rank of a group and come from it. All ranks' counts must fit together.
struct RowCounts {
  std::vector<int64_t> send, receive;
};

/// Rows on their way. Every started exchange must be finished, by all ranks in the same order, and its result must take
/// part in the loss: the gradients travel back by the same collectives.
class RowExchange {
 public:
  /// rows [Σ send, w]: those for rank 0 first. `ledger`: in it both ways count for the unit of now; may be null. Collective.
  RowExchange(Communicator& group, const at::Tensor& rows, RowCounts counts, CommLedger* ledger);
  /// [Σ receive, w]: those of rank 0 first. Waits for them.
  at::Tensor finish();

  struct State;  ///< implementation

 private:
  std::shared_ptr<State> state_;
  at::Tensor arriving_;
};

/// Both halves at once.
at::Tensor exchange_rows(Communicator& group, const at::Tensor& rows, const RowCounts& counts,
                         CommLedger* ledger = nullptr);

}  // namespace veomni
