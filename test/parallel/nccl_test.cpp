// NCCL on one GPU, which it takes one rank for: the same checks as the other communicators'.
#include "parallel/comm/nccl.h"

#include <catch2/catch.hpp>

#include "core/error.h"
#include "parallel/comm/thread.h"
#include "parallel/device.h"
#include "test/parallel/collective_cases.h"

using namespace veomni;

namespace {

/// Calls with host tensors on a group that takes device tensors: copied there before the call, back when it is waited for.
class Staged final : public Communicator {
 public:
  explicit Staged(std::unique_ptr<Communicator> group) : group_(std::move(group)) {
    set_timeout(group_->timeout());
  }
  const std::string& name() const override { return group_->name(); }
  int rank() const override { return group_->rank(); }
  int size() const override { return group_->size(); }
  double seconds() const override { return group_->seconds(); }
  std::unique_ptr<Work> start_all_reduce(at::Tensor& tensor) override {
    at::Tensor there = to_device(tensor);
    return back(group_->start_all_reduce(there), tensor, there);
  }
  std::unique_ptr<Work> start_all_gather(at::Tensor& out, const at::Tensor& in) override {
    at::Tensor there = to_device(out);
    return back(group_->start_all_gather(there, to_device(in)), out, there);
  }
  std::unique_ptr<Work> start_reduce_scatter(at::Tensor& out, const at::Tensor& in) override {
    at::Tensor there = to_device(out);
    return back(group_->start_reduce_scatter(there, to_device(in)), out, there);
  }
  std::unique_ptr<Work> start_all_to_all(at::Tensor& out, const at::Tensor& in,
                                         const std::vector<int64_t>& send,
                                         const std::vector<int64_t>& receive) override {
    at::Tensor there = to_device(out);
    return back(group_->start_all_to_all(there, to_device(in), send, receive), out, there);
  }
  std::unique_ptr<Work> start_broadcast(at::Tensor& tensor, int root) override {
    at::Tensor there = to_device(tensor);
    return back(group_->start_broadcast(there, root), tensor, there);
  }
  void barrier() override { group_->barrier(); }
  std::unique_ptr<Communicator> split(int colour, const std::string& name) override {
    return std::make_unique<Staged>(group_->split(colour, name));
  }

 private:
  struct Back : Work {
    Back(std::unique_ptr<Work> its_work, at::Tensor its_host, at::Tensor its_device)
        : work(std::move(its_work)), host(std::move(its_host)), device(std::move(its_device)) {}
    void wait() override {
      work->wait();
      host.copy_(device);
    }
    std::unique_ptr<Work> work;
    at::Tensor host, device;
  };
  static at::Tensor to_device(const at::Tensor& x) {
    const at::Tensor there =
        at::empty_strided(x.sizes(), x.strides(), x.options().device(at::kCUDA));
    return there.copy_(x);
  }
  static std::unique_ptr<Work> back(std::unique_ptr<Work> work, const at::Tensor& host,
                                    const at::Tensor& device) {
    return std::make_unique<Back>(std::move(work), host, device);
  }
  std::unique_ptr<Communicator> group_;
};

}  // namespace

TEST_CASE("nccl: every collective of one rank, exact", "[.gpu]") {
  run_ranks(1, [](Communicator& host) {
    const auto device = open_device({.wanted = "cuda"});
    Staged group(
        std::make_unique<NcclCommunicator>(host, NcclSettings{.device_index = device.index}));
    for (const auto& one : test::collective_cases()) {
      INFO(one.name);
      CHECK(one.run(group) == "");
    }
  });
}

TEST_CASE("nccl: a closed group refuses calls, and takes device tensors only", "[.gpu]") {
  run_ranks(1, [](Communicator& host) {
    const auto device = open_device({.wanted = "cuda"});
    NcclCommunicator group(host, {.device_index = device.index});
    at::Tensor on_host = at::zeros({2});
    CHECK_THROWS_WITH(group.all_reduce(on_host), Catch::Contains("the tensor must be on cuda:0"));
    group.close();
    at::Tensor there = at::zeros({2}, at::kCUDA);
    CHECK_THROWS_AS(group.all_reduce(there), CommError);
  });
}
