#include "parallel/comm/check.h"

#include <numeric>

namespace veomni::comm {
namespace {

struct Finished : Work {
  void wait() override {}
};

bool supported(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
    case at::kDouble:
    case at::kInt:
    case at::kLong:
    case at::kByte:
    case at::kBFloat16:
      return true;
    default:
      return false;
  }
}

int64_t total(const std::vector<int64_t>& counts) {
  for (const int64_t count : counts) TORCH_CHECK(count >= 0, "all_to_all: negative count ", count);
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

}  // namespace

void check_tensor(const at::Tensor& tensor, const char* call) {
  TORCH_CHECK(tensor.defined(), call, ": undefined tensor");
  TORCH_CHECK(tensor.is_contiguous(), call, ": the tensor must be contiguous, sizes ",
              tensor.sizes(), " strides ", tensor.strides());
  TORCH_CHECK(supported(tensor.scalar_type()), call, ": dtype ", tensor.scalar_type(),
              "; use f32, f64, bf16, i32, i64 or u8");
}

void check_all_gather(const at::Tensor& out, const at::Tensor& in, int size) {
  check_tensor(out, "all_gather");
  check_tensor(in, "all_gather");
  TORCH_CHECK(out.scalar_type() == in.scalar_type() && out.numel() == size * in.numel(),
              "all_gather: out must hold ", size, " times in (", in.numel(), " ", in.scalar_type(),
              "), but has ", out.numel(), " ", out.scalar_type());
}

void check_reduce_scatter(const at::Tensor& out, const at::Tensor& in, int size) {
  check_tensor(out, "reduce_scatter");
  check_tensor(in, "reduce_scatter");
  TORCH_CHECK(out.scalar_type() == in.scalar_type() && in.numel() == size * out.numel(),
              "reduce_scatter: in must hold ", size, " times out (", out.numel(), " ",
              out.scalar_type(), "), but has ", in.numel(), " ", in.scalar_type());
}

void check_all_to_all(const at::Tensor& out, const at::Tensor& in, ExchangeCounts counts,
                      int size) {
  check_tensor(out, "all_to_all");
  check_tensor(in, "all_to_all");
  const auto ranks = static_cast<size_t>(size);
  TORCH_CHECK(out.scalar_type() == in.scalar_type(), "all_to_all: in is ", in.scalar_type(),
              ", out is ", out.scalar_type());
  TORCH_CHECK(counts.send.size() == ranks && counts.receive.size() == ranks,
              "all_to_all: ", counts.send.size(), " and ", counts.receive.size(), " counts for ",
              size, " ranks");
  TORCH_CHECK(total(counts.send) == in.numel(), "all_to_all: send counts sum to ",
              total(counts.send), ", in has ", in.numel());
  TORCH_CHECK(total(counts.receive) == out.numel(), "all_to_all: receive counts sum to ",
              total(counts.receive), ", out has ", out.numel());
}

void check_root(int root, int size) {
  TORCH_CHECK(root >= 0 && root < size, "broadcast: root ", root, " in a group of ", size);
}

std::unique_ptr<Work> finished() { return std::make_unique<Finished>(); }

std::unique_ptr<Work> copied(at::Tensor& out, const at::Tensor& in) {
  const at::NoGradGuard no_grad;
  out.view(-1).copy_(in.view(-1));
  return finished();
}

std::string seconds_text(std::chrono::milliseconds time) {
  return fmt::format("{} s", static_cast<double>(time.count()) / 1000);
}

}  // namespace veomni::comm
