#pragma once
// What the collectives of MpiCommunicator share: routes of bytes, tags, staging, works.

#include "parallel/comm/mpi_communicator.h"

namespace veomni::comm {

/// A call takes this many tags, so that stages and kinds never mix.
constexpr int kTagsPerCall = 16;
enum Tag {
  kExchange = 0,
  kScatter = 2,
  kGather = 4,
  kReduceScatter = 6,
  kAllGather = 8,
  kAllToAll = 10
};

inline char* bytes_of(const at::Tensor& tensor) {
  return static_cast<char*>(tensor.mutable_data_ptr());
}

/// The same memory without autograd's bookkeeping: collectives write raw memory.
inline at::Tensor plain(const at::Tensor& tensor) { return tensor.variable_data(); }

/// What MPI works on: host memory, and f32 where bf16 is summed.
inline at::Tensor staged(const at::Tensor& tensor, bool sums) {
  const bool widen = sums && tensor.scalar_type() == at::kBFloat16;
  if (tensor.is_cpu() && !widen) return plain(tensor);
  return plain(tensor).to(at::kCPU, widen ? at::kFloat : tensor.scalar_type());
}

inline std::vector<int64_t> starts_of(const std::vector<int64_t>& counts) {
  std::vector<int64_t> starts(counts.size(), 0);
  for (size_t i = 1; i < counts.size(); ++i) starts[i] = starts[i - 1] + counts[i - 1];
  return starts;
}

/// Bytes between this rank and each other one; its own part is not moved.
struct MpiCommunicator::Route {
  const char* send = nullptr;
  std::vector<int64_t> send_starts{}, send_bytes{};
  char* receive = nullptr;
  std::vector<int64_t> receive_starts{}, receive_bytes{};
  int tag = 0;
};

/// A started operation, and where its result goes.
struct MpiCommunicator::Started : Work {
  Started(MpiCommunicator& its_owner, std::shared_ptr<MpiOperation> its_operation)
      : owner(its_owner), operation(std::move(its_operation)) {}
  void wait() override {
    owner.wait(*operation);
    if (!target.defined()) return;
    const at::NoGradGuard no_grad;
    target.copy_(result.view_as(target));
    target.reset();
  }
  /// The result goes to `out` at the end, unless it is there already.
  void deliver(const at::Tensor& out, const at::Tensor& from) {
    if (out.data_ptr() == from.data_ptr()) return;
    target = plain(out);
    result = from;
  }
  MpiCommunicator& owner;
  std::shared_ptr<MpiOperation> operation;
  at::Tensor target, result;
};

}  // namespace veomni::comm
