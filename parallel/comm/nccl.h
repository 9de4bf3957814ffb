#pragma once
// A group of ranks with one GPU each, by NCCL in libveomni_cuda.so.

#include <chrono>
#include <memory>

#include "core/communicator.h"

namespace veomni {

class NcclGroup;

struct NcclSettings {
  int device_index = 0;  ///< of open_device; each rank of a machine has another one
  std::chrono::milliseconds timeout{600'000};
};

/// Tensors are contiguous, on the group's GPU; f32, f64, i32, i64, u8, and bf16, which NCCL sums in
/// bf16: reduce f32 where that matters. Sums have the same bits on every rank.
///
/// start_*: the collective runs on a stream of its own behind what the current stream holds at the
/// call; computing goes on meanwhile. wait(): holds the host until the collective is done, so an
/// error or a timeout belongs to the call that it names, seconds() is time really lost, and work
/// started afterwards sees the result on any stream. A failed or overdue call aborts the group:
/// CommError then and at every later call, never a hang.
class NcclCommunicator final : public Communicator {
 public:
  /// Ranks, name and the exchange of NCCL's id come from `host`, which must outlive this.
  /// Collective.
  NcclCommunicator(Communicator& host, const NcclSettings& settings);
  /// The error path: aborts, so that it never waits for peers. Call close() before it where all is
  /// well.
  ~NcclCommunicator() override;

  /// Ends what was started and frees the group. Collective; throws CommError.
  void close();

  const std::string& name() const override;
  int rank() const override;
  int size() const override;
  std::unique_ptr<Work> start_all_reduce(at::Tensor& tensor) override;
  std::unique_ptr<Work> start_all_gather(at::Tensor& out, const at::Tensor& in) override;
  std::unique_ptr<Work> start_reduce_scatter(at::Tensor& out, const at::Tensor& in) override;
  std::unique_ptr<Work> start_all_to_all(at::Tensor& out, const at::Tensor& in,
                                         const std::vector<int64_t>& send_counts,
                                         const std::vector<int64_t>& receive_counts) override;
  std::unique_ptr<Work> start_broadcast(at::Tensor& tensor, int root) override;
  void barrier() override;
  /// The result is an NcclCommunicator too, over a split of `host` that it owns.
  std::unique_ptr<Communicator> split(int colour, const std::string& name) override;
  double seconds() const override;

 private:
  explicit NcclCommunicator(std::shared_ptr<NcclGroup> group);
  std::shared_ptr<NcclGroup> group_;
};

}  // namespace veomni
