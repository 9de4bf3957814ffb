#pragma once
// A communicator whose calls are counted in a ledger, and whose errors name the unit they were made for.

#include <memory>

#include "core/comm_ledger.h"
#include "core/communicator.h"

namespace veomni {

class CountedCommunicator final : public Communicator {
 public:
  /// Both outlive this.
  CountedCommunicator(Communicator& group, CommLedger& ledger);

  const std::string& name() const override { return group_.name(); }
  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  double seconds() const override { return group_.seconds(); }
  std::unique_ptr<Work> start_all_reduce(at::Tensor& tensor) override;
  std::unique_ptr<Work> start_all_gather(at::Tensor& out, const at::Tensor& in) override;
  std::unique_ptr<Work> start_reduce_scatter(at::Tensor& out, const at::Tensor& in) override;
  std::unique_ptr<Work> start_all_to_all(at::Tensor& out, const at::Tensor& in,
                                         const std::vector<int64_t>& send_counts,
                                         const std::vector<int64_t>& receive_counts) override;
  std::unique_ptr<Work> start_broadcast(at::Tensor& tensor, int root) override;
  void barrier() override;
  /// Not counted: its owner wraps it.
  std::unique_ptr<Communicator> split(int colour, const std::string& name) override {
    return group_.split(colour, name);
  }

 private:
  std::unique_ptr<Work> counted(const char* call, int64_t bytes, std::unique_ptr<Work> work);
  /// (n − 1)/n of a tensor's bytes.
  int64_t elsewhere(const at::Tensor& whole) const;

  Communicator& group_;
  CommLedger& ledger_;
};

}  // namespace veomni
