#pragma once
// Ranks of one machine that hand each other host tensors through shared memory: no system call, no thread beside the
// ranks' own. Sums are taken in rank order, so that every rank gets the same bits in every run.

#include "core/communicator.h"
#include "parallel/comm/shared_group.h"

namespace veomni::comm {

class SharedCommunicator final : public Communicator {
 public:
  struct Place {
    int rank, size;
  };
  /// `progress` outlives it; `rings` are those of the group (null for a group of one).
  SharedCommunicator(std::string name, Place place, std::unique_ptr<SharedRings> rings,
                     SharedProgress& progress);
  ~SharedCommunicator() override;

  const std::string& name() const override { return name_; }
  int rank() const override { return place_.rank; }
  int size() const override { return place_.size; }
  double seconds() const override { return seconds_; }

  std::unique_ptr<Work> start_all_reduce(at::Tensor& tensor) override;
  std::unique_ptr<Work> start_all_gather(at::Tensor& out, const at::Tensor& in) override;
  std::unique_ptr<Work> start_reduce_scatter(at::Tensor& out, const at::Tensor& in) override;
  std::unique_ptr<Work> start_all_to_all(at::Tensor& out, const at::Tensor& in,
                                         const std::vector<int64_t>& send_counts,
                                         const std::vector<int64_t>& receive_counts) override;
  std::unique_ptr<Work> start_broadcast(at::Tensor& tensor, int root) override;
  void barrier() override;
  /// Throws CommError where the system gives no more shared memory.
  std::unique_ptr<Communicator> split(int colour, const std::string& name) override;

 private:
  struct Started;
  std::shared_ptr<SharedOperation> operation(SharedCall call, std::vector<at::Tensor> keep) const;
  std::shared_ptr<SharedOperation> gather(SharedCall call, const at::Tensor& all,
                                          const std::vector<int64_t>& counts) const;
  std::shared_ptr<SharedOperation> scatter_and_sum(SharedCall call, const at::Tensor& in,
                                                   const at::Tensor& out,
                                                   const std::vector<int64_t>& counts) const;
  std::unique_ptr<Started> begin(std::shared_ptr<SharedOperation> operation);
  void wait(SharedOperation& operation);
  size_t self() const { return static_cast<size_t>(place_.rank); }

  std::string name_;
  Place place_;
  SharedProgress& progress_;
  SharedGroup group_;
  double seconds_ = 0;
};

}  // namespace veomni::comm
