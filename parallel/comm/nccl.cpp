#include "parallel/comm/nccl.h"

#include <ATen/ops/zeros.h>

#include <numeric>

#include "parallel/comm/nccl_group.h"

namespace veomni {
namespace {

/// Fills what all calls share; `in` and `out` must have one dtype.
VeomniNcclCall describe(const NcclGroup& group, const char* call, const at::Tensor& out,
                        const at::Tensor& in) {
  VeomniNcclCall c{};
  c.type = group.check_tensor(in, call);
  TORCH_CHECK(group.check_tensor(out, call) == c.type, call, ": in is ", in.scalar_type(),
              ", but out is ", out.scalar_type());
  c.in = in.const_data_ptr();
  c.out = out.data_ptr();
  c.count = in.numel();
  return c;
}

using Function = int (*)(const VeomniNcclCall*);

std::unique_ptr<Work> begin(NcclGroup& group, const char* name, std::vector<at::Tensor> tensors,
                            Function function, VeomniNcclCall call) {
  return group.start({name, std::move(tensors), [=](void* communicator, void* stream) {
                        VeomniNcclCall filled = call;
                        filled.communicator = communicator;
                        filled.stream = stream;
                        return filled.count == 0 ? 0 : function(&filled);
                      }});
}

}  // namespace

NcclCommunicator::NcclCommunicator(Communicator& host, const NcclSettings& settings)
    : group_(std::make_shared<NcclGroup>(host, nullptr, settings)) {}

NcclCommunicator::NcclCommunicator(std::shared_ptr<NcclGroup> group) : group_(std::move(group)) {}

NcclCommunicator::~NcclCommunicator() { group_->abort(); }

void NcclCommunicator::close() { group_->close(); }
const std::string& NcclCommunicator::name() const { return group_->host().name(); }
int NcclCommunicator::rank() const { return group_->host().rank(); }
int NcclCommunicator::size() const { return group_->host().size(); }
double NcclCommunicator::seconds() const { return group_->seconds(); }

std::unique_ptr<Work> NcclCommunicator::start_all_reduce(at::Tensor& tensor) {
  const VeomniNcclCall call = describe(*group_, "all_reduce", tensor, tensor);
  return begin(*group_, "all_reduce", {tensor}, group_->table().all_reduce, call);
}

std::unique_ptr<Work> NcclCommunicator::start_all_gather(at::Tensor& out, const at::Tensor& in) {
  const VeomniNcclCall call = describe(*group_, "all_gather", out, in);
  TORCH_CHECK(out.numel() == in.numel() * size(), "all_gather: out has ", out.numel(),
              " elements, must have ", size(), " × ", in.numel());
  return begin(*group_, "all_gather", {out, in}, group_->table().all_gather, call);
}

std::unique_ptr<Work> NcclCommunicator::start_reduce_scatter(at::Tensor& out,
                                                             const at::Tensor& in) {
  VeomniNcclCall call = describe(*group_, "reduce_scatter", out, in);
  TORCH_CHECK(in.numel() == out.numel() * size(), "reduce_scatter: in has ", in.numel(),
              " elements, must have ", size(), " × ", out.numel());
  call.count = out.numel();
  return begin(*group_, "reduce_scatter", {out, in}, group_->table().reduce_scatter, call);
}

std::unique_ptr<Work> NcclCommunicator::start_all_to_all(
    at::Tensor& out, const at::Tensor& in, const std::vector<int64_t>& send_counts,
    const std::vector<int64_t>& receive_counts) {
  const VeomniNcclCall call = describe(*group_, "all_to_all", out, in);
  const auto fits = [this](const std::vector<int64_t>& counts, int64_t total) {
    bool good = counts.size() == static_cast<size_t>(size());
    for (const int64_t count : counts) good = good && count >= 0;
    return good && std::accumulate(counts.begin(), counts.end(), int64_t{0}) == total;
  };
  TORCH_CHECK(fits(send_counts, in.numel()) && fits(receive_counts, out.numel()),
              "all_to_all: needs ", size(), " counts each way that sum to the ", in.numel(),
              " elements of in and the ", out.numel(), " of out");
  const auto function = group_->table().all_to_all;
  return group_->start({"all_to_all", {out, in}, [=](void* communicator, void* stream) {
                          const VeomniNcclAllToAll args{communicator,
                                                        stream,
                                                        call.in,
                                                        call.out,
                                                        send_counts.data(),
                                                        receive_counts.data(),
                                                        static_cast<int32_t>(send_counts.size()),
                                                        call.type};
                          return function(&args);
                        }});
}

std::unique_ptr<Work> NcclCommunicator::start_broadcast(at::Tensor& tensor, int root) {
  VeomniNcclCall call = describe(*group_, "broadcast", tensor, tensor);
  TORCH_CHECK(root >= 0 && root < size(), "broadcast: root ", root, " is not one of ", size(),
              " ranks");
  call.root = root;
  return begin(*group_, "broadcast", {tensor}, group_->table().broadcast, call);
}

void NcclCommunicator::barrier() {
  const auto index = static_cast<c10::DeviceIndex>(group_->settings().device_index);
  const c10::Device device(c10::DeviceType::CUDA, index);
  at::Tensor one = at::zeros({1}, at::TensorOptions().dtype(at::kInt).device(device));
  const VeomniNcclCall call = describe(*group_, "barrier", one, one);
  begin(*group_, "barrier", {one}, group_->table().all_reduce, call)->wait();
}

std::unique_ptr<Communicator> NcclCommunicator::split(int colour, const std::string& name) {
  std::unique_ptr<Communicator> host = group_->host().split(colour, name);
  Communicator& of_split = *host;
  auto group = std::make_shared<NcclGroup>(of_split, std::move(host), group_->settings());
  return std::unique_ptr<Communicator>(new NcclCommunicator(std::move(group)));
}

}  // namespace veomni
