#include "parallel/comm/counted.h"

#include <ATen/core/Tensor.h>

#include <numeric>

#include "core/error.h"

namespace veomni {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class CountedWork final : public Work {
 public:
  CountedWork(std::unique_ptr<Work> work, CommLedger& ledger, std::string axis, const char* call)
      : work_(std::move(work)),
        ledger_(ledger),
        axis_(std::move(axis)),
        unit_(ledger.unit()),
        call_(call) {}

  void wait() override {
    if (waited_) return work_->wait();
    waited_ = true;
    const auto begin = Clock::now();
    try {
      work_->wait();
    } catch (const CommError& error) {
      throw CommError(fmt::format("{} (unit {})", error.what(), unit_));
    }
    const CommUnit unit(&ledger_, unit_);
    ledger_.add(axis_, call_, {.seconds = since(start_), .exposed = since(begin)});
  }

 private:
  std::unique_ptr<Work> work_;
  CommLedger& ledger_;
  std::string axis_, unit_;
  const char* call_;
  Clock::time_point start_ = Clock::now();
  bool waited_ = false;
};

}  // namespace

CountedCommunicator::CountedCommunicator(Communicator& group, CommLedger& ledger)
    : group_(group), ledger_(ledger) {
  set_timeout(group.timeout());
}

std::unique_ptr<Work> CountedCommunicator::counted(const char* call, int64_t bytes,
                                                   std::unique_ptr<Work> work) {
  ledger_.add(name(), call, {.calls = 1, .bytes = bytes});
  return std::make_unique<CountedWork>(std::move(work), ledger_, name(), call);
}

int64_t CountedCommunicator::elsewhere(const at::Tensor& whole) const {
  return static_cast<int64_t>(whole.nbytes()) / size() * (size() - 1);
}

std::unique_ptr<Work> CountedCommunicator::start_all_reduce(at::Tensor& tensor) {
  const auto bytes = static_cast<int64_t>(tensor.nbytes());
  return counted("all_reduce", 2 * bytes * (size() - 1) / size(), group_.start_all_reduce(tensor));
}

std::unique_ptr<Work> CountedCommunicator::start_all_gather(at::Tensor& out, const at::Tensor& in) {
  return counted("all_gather", elsewhere(out), group_.start_all_gather(out, in));
}

std::unique_ptr<Work> CountedCommunicator::start_reduce_scatter(at::Tensor& out,
                                                                const at::Tensor& in) {
  return counted("reduce_scatter", elsewhere(in), group_.start_reduce_scatter(out, in));
}

std::unique_ptr<Work> CountedCommunicator::start_all_to_all(
    at::Tensor& out, const at::Tensor& in, const std::vector<int64_t>& send_counts,
    const std::vector<int64_t>& receive_counts) {
  const auto away = [&](const std::vector<int64_t>& counts) {
    return std::accumulate(counts.begin(), counts.end(), int64_t{0}) -
           counts.at(static_cast<size_t>(rank()));
  };
  auto work = group_.start_all_to_all(out, in, send_counts, receive_counts);
  const int64_t elements = std::max(away(send_counts), away(receive_counts));
  return counted("all_to_all", elements * static_cast<int64_t>(in.element_size()), std::move(work));
}

std::unique_ptr<Work> CountedCommunicator::start_broadcast(at::Tensor& tensor, int root) {
  return counted("broadcast", static_cast<int64_t>(tensor.nbytes()),
                 group_.start_broadcast(tensor, root));
}

void CountedCommunicator::barrier() {
  const auto begin = Clock::now();
  group_.barrier();
  const double seconds = since(begin);
  ledger_.add(name(), "barrier", {.calls = 1, .seconds = seconds, .exposed = seconds});
}

}  // namespace veomni
