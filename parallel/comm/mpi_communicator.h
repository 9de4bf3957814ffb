#pragma once
// A group of MPI ranks. Data moves by direct sends between pairs of ranks, and sums are taken here,
// in rank order, so that every rank gets the same bits in every run.

#include <ATen/core/Tensor.h>

#include "core/communicator.h"
#include "parallel/comm/mpi_api.h"
#include "parallel/comm/mpi_group.h"
#include "parallel/comm/mpi_progress.h"

namespace veomni::comm {

class MpiCommunicator final : public Communicator {
 public:
  /// The group is freed by MPI_Finalize.
  MpiCommunicator(std::string name, MPI_Comm group, const MpiTransports& transports);

  const std::string& name() const override { return name_; }
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  double seconds() const override { return seconds_; }

  std::unique_ptr<Work> start_all_reduce(at::Tensor& tensor) override;
  std::unique_ptr<Work> start_all_gather(at::Tensor& out, const at::Tensor& in) override;
  std::unique_ptr<Work> start_reduce_scatter(at::Tensor& out, const at::Tensor& in) override;
  std::unique_ptr<Work> start_all_to_all(at::Tensor& out, const at::Tensor& in,
                                         const std::vector<int64_t>& send_counts,
                                         const std::vector<int64_t>& receive_counts) override;
  std::unique_ptr<Work> start_broadcast(at::Tensor& tensor, int root) override;
  void barrier() override;
  std::unique_ptr<Communicator> split(int colour, const std::string& name) override;

  /// Adds to the time spent waiting, and waits.
  void wait(MpiOperation& operation);

 private:
  struct Started;
  struct Route;
  struct Pieces {
    const char* call;
    at::Tensor in, out;           ///< out: this rank's piece
    std::vector<int64_t> counts;  ///< elements in each rank's piece of `in`
    int tag;
  };
  std::shared_ptr<MpiOperation> operation(const char* call, std::vector<at::Tensor> keep) const;
  std::unique_ptr<Work> begin(std::shared_ptr<MpiOperation> operation, Route route);
  void send_all(MpiOperation& operation, const Route& route);
  std::unique_ptr<Work> all_reduce_by_exchange(const at::Tensor& tensor);
  std::unique_ptr<Work> all_reduce_by_pieces(const at::Tensor& tensor);
  std::unique_ptr<Work> all_reduce_by_tree(const at::Tensor& tensor);
  std::unique_ptr<Work> scatter_and_sum(Pieces pieces, std::function<void(MpiOperation&)> then);
  int next_tag();

  std::string name_;
  MPI_Comm group_;
  MpiTransports transports_;
  MpiProgress& progress_;
  int rank_ = 0, size_ = 1;
  int tag_ = 0;
  double seconds_ = 0;
};

}  // namespace veomni::comm
