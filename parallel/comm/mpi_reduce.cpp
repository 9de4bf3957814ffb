// Sums over MPI ranks.
#include "parallel/comm/check.h"
#include "parallel/comm/mpi_route.h"
#include "parallel/comm/sum.h"

namespace veomni::comm {
namespace {

constexpr int64_t kExchangeBytes = int64_t{64} << 10;  // all copies together: one round beats two
constexpr int64_t kTreeBytes = int64_t{16} << 10;  // beyond it pieces beat a tree of whole messages

MPI_Datatype mpi_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return MPI_FLOAT;
    case at::kDouble:
      return MPI_DOUBLE;
    case at::kInt:
      return MPI_INT32_T;
    case at::kLong:
      return MPI_INT64_T;
    default:
      return MPI_UINT8_T;
  }
}

}  // namespace

/// Small tensors: every rank gets every tensor and sums by itself.
std::unique_ptr<Work> MpiCommunicator::all_reduce_by_exchange(const at::Tensor& tensor) {
  const auto ranks = static_cast<size_t>(size_);
  const int64_t count = tensor.numel(), bytes = static_cast<int64_t>(tensor.nbytes());
  const at::Tensor others = at::empty({size_, count}, tensor.options());
  auto op = operation("all_reduce", {tensor, others});
  Route route{.send = bytes_of(tensor),
              .send_starts = std::vector<int64_t>(ranks, 0),
              .send_bytes = std::vector<int64_t>(ranks, bytes),
              .receive = bytes_of(others),
              .receive_starts = starts_of(std::vector<int64_t>(ranks, bytes)),
              .receive_bytes = std::vector<int64_t>(ranks, bytes),
              .tag = next_tag() + kExchange};
  std::vector<const void*> parts;
  for (const int64_t start : route.receive_starts) parts.push_back(route.receive + start);
  parts[static_cast<size_t>(rank_)] = route.send;
  op->stages.push_back({[out = bytes_of(tensor), parts, count, type = tensor.scalar_type()] {
                          sum_parts(out, parts, count, type);
                        },
                        nullptr});
  return begin(std::move(op), std::move(route));
}

/// Every rank gets its piece of all tensors; `out` becomes the piece's sum. `then` may post more
/// calls.
std::unique_ptr<Work> MpiCommunicator::scatter_and_sum(Pieces pieces,
                                                       std::function<void(MpiOperation&)> then) {
  const auto ranks = static_cast<size_t>(size_), self = static_cast<size_t>(rank_);
  const int64_t item = pieces.in.element_size(), own = pieces.counts[self];
  const at::Tensor others = at::empty({size_, own}, pieces.in.options());
  auto op = operation(pieces.call, {pieces.in, pieces.out, others});
  Route route{.send = bytes_of(pieces.in), .receive = bytes_of(others), .tag = pieces.tag};
  for (const int64_t count : pieces.counts) route.send_bytes.push_back(count * item);
  route.send_starts = starts_of(route.send_bytes);
  route.receive_bytes.assign(ranks, own * item);
  route.receive_starts = starts_of(route.receive_bytes);
  std::vector<const void*> parts;
  for (const int64_t start : route.receive_starts) parts.push_back(route.receive + start);
  parts[self] = route.send + route.send_starts[self];
  op->stages.push_back({[out = bytes_of(pieces.out), parts, own, type = pieces.in.scalar_type()] {
                          sum_parts(out, parts, own, type);
                        },
                        std::move(then)});
  return begin(std::move(op), std::move(route));
}

/// Large tensors: each rank sums one piece, then every rank gets every piece.
std::unique_ptr<Work> MpiCommunicator::all_reduce_by_pieces(const at::Tensor& tensor) {
  const int64_t count = tensor.numel(), item = tensor.element_size();
  std::vector<int64_t> counts;
  for (int64_t r = 0; r < size_; ++r) {
    counts.push_back(count * (r + 1) / size_ - count * r / size_);
  }
  const int tag = next_tag();
  Route gather{.send = bytes_of(tensor), .receive = bytes_of(tensor), .tag = tag + kGather};
  for (const int64_t piece : counts) gather.receive_bytes.push_back(piece * item);
  gather.receive_starts = starts_of(gather.receive_bytes);
  const auto self = static_cast<size_t>(rank_), ranks = static_cast<size_t>(size_);
  gather.send_starts.assign(ranks, gather.receive_starts[self]);
  gather.send_bytes.assign(ranks, gather.receive_bytes[self]);
  const at::Tensor out =
      tensor.view(-1).narrow(0, gather.receive_starts[self] / item, counts[self]);
  return scatter_and_sum({"all_reduce", tensor, out, std::move(counts), tag + kScatter},
                         [this, gather](MpiOperation& op) { send_all(op, gather); });
}

/// Small tensors of many ranks: MPI's tree, whose order depends on nothing but the number of ranks.
std::unique_ptr<Work> MpiCommunicator::all_reduce_by_tree(const at::Tensor& tensor) {
  auto op = operation("all_reduce", {tensor});
  progress_.start(op, [&](MpiOperation& started) {
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Iallreduce(MPI_IN_PLACE, bytes_of(tensor), static_cast<int>(tensor.numel()),
                             mpi_type(tensor.scalar_type()), MPI_SUM, group_, &request),
              started.where, "MPI_Iallreduce");
    started.add(request);
  });
  return std::make_unique<Started>(*this, std::move(op));
}

std::unique_ptr<Work> MpiCommunicator::start_all_reduce(at::Tensor& tensor) {
  check_tensor(tensor, "all_reduce");
  if (size_ == 1) return finished();
  const at::Tensor sum = staged(tensor, true);
  const auto bytes = static_cast<int64_t>(sum.nbytes());
  std::unique_ptr<Work> work;
  if (bytes * size_ <= kExchangeBytes) {
    work = all_reduce_by_exchange(sum);
  } else {
    work = bytes <= kTreeBytes ? all_reduce_by_tree(sum) : all_reduce_by_pieces(sum);
  }
  static_cast<Started&>(*work).delivery.set(tensor, sum);
  return work;
}

std::unique_ptr<Work> MpiCommunicator::start_reduce_scatter(at::Tensor& out, const at::Tensor& in) {
  check_reduce_scatter(out, in, size_);
  if (size_ == 1) return copied(out, in);
  const at::Tensor from = staged(in, true);
  const at::Tensor sum = place_for(out, from);
  std::vector<int64_t> counts(static_cast<size_t>(size_), out.numel());
  auto work = scatter_and_sum(
      {"reduce_scatter", from, sum, std::move(counts), next_tag() + kReduceScatter}, nullptr);
  static_cast<Started&>(*work).delivery.set(out, sum);
  return work;
}

}  // namespace veomni::comm
