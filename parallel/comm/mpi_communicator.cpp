#include "parallel/comm/mpi_communicator.h"

#include <cstring>

#include "core/error.h"
#include "parallel/comm/check.h"
#include "parallel/comm/sum.h"

namespace veomni::comm {
namespace {

constexpr int64_t kMessageBytes = int64_t{1} << 30;    // counts of MPI are int
constexpr int64_t kExchangeBytes = int64_t{64} << 10;  // all copies together: one round beats two
constexpr int64_t kTreeBytes = int64_t{16} << 10;  // beyond it pieces beat a tree of whole messages
constexpr int kTagsPerCall = 16;

enum Tag {
  kExchange = 0,
  kScatter = 2,
  kGather = 4,
  kReduceScatter = 6,
  kAllGather = 8,
  kAllToAll = 10
};

char* bytes_of(const at::Tensor& tensor) { return static_cast<char*>(tensor.mutable_data_ptr()); }

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

/// The same memory without autograd's bookkeeping: collectives write raw memory.
at::Tensor plain(const at::Tensor& tensor) { return tensor.variable_data(); }

/// What MPI works on: host memory, and f32 where bf16 is summed.
at::Tensor staged(const at::Tensor& tensor, bool sums) {
  const bool widen = sums && tensor.scalar_type() == at::kBFloat16;
  if (tensor.is_cpu() && !widen) return plain(tensor);
  return plain(tensor).to(at::kCPU, widen ? at::kFloat : tensor.scalar_type());
}

std::vector<int64_t> starts_of(const std::vector<int64_t>& counts) {
  std::vector<int64_t> starts(counts.size(), 0);
  for (size_t i = 1; i < counts.size(); ++i) starts[i] = starts[i - 1] + counts[i - 1];
  return starts;
}

}  // namespace

/// Bytes between this rank and each other one; its own part is not moved.
struct MpiCommunicator::Route {
  const char* send = nullptr;
  std::vector<int64_t> send_starts{}, send_bytes{};
  char* receive = nullptr;
  std::vector<int64_t> receive_starts{}, receive_bytes{};
  int tag = 0;
};

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

// No destructor frees the group: that is collective in MPI, and after an error nobody may wait for
// peers.
MpiCommunicator::MpiCommunicator(std::string name, MPI_Comm group, MpiProgress& progress)
    : name_(std::move(name)), group_(group), progress_(progress) {
  check_mpi(MPI_Comm_set_errhandler(group_, MPI_ERRORS_RETURN), name_, "MPI_Comm_set_errhandler");
  check_mpi(MPI_Comm_rank(group_, &rank_), name_, "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(group_, &size_), name_, "MPI_Comm_size");
}

int MpiCommunicator::next_tag() {
  constexpr int kTagBound =
      1 << 30;  // OpenMPI takes any int; equal on all ranks, who make the same calls
  tag_ = (tag_ + kTagsPerCall) % kTagBound;
  return tag_;
}

std::shared_ptr<MpiOperation> MpiCommunicator::operation(const char* call,
                                                         std::vector<at::Tensor> keep) const {
  auto operation = std::make_shared<MpiOperation>();
  operation->where = where(call);
  operation->keep = std::move(keep);
  return operation;
}

void MpiCommunicator::wait(MpiOperation& operation) {
  const auto begin = std::chrono::steady_clock::now();
  const auto add = [&] {
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  try {
    progress_.wait(operation, timeout());
  } catch (...) {
    add();
    throw;
  }
  add();
}

/// Receives first, so that messages find their place; peers in turn, so that no rank is everybody's
/// first.
void MpiCommunicator::send_all(MpiOperation& operation, const Route& route) {
  const auto each_message = [](int64_t start, int64_t total, auto post) {
    for (int64_t done = 0; done < total; done += kMessageBytes) {
      post(start + done, static_cast<int>(std::min(kMessageBytes, total - done)));
    }
  };
  for (int step = 1; step < size_; ++step) {
    const auto from = static_cast<size_t>((rank_ - step + size_) % size_);
    each_message(route.receive_starts[from], route.receive_bytes[from], [&](int64_t at, int bytes) {
      MPI_Request request = MPI_REQUEST_NULL;
      check_mpi(MPI_Irecv(route.receive + at, bytes, MPI_BYTE, static_cast<int>(from), route.tag,
                          group_, &request),
                operation.where, "MPI_Irecv");
      operation.add(request, bytes);
    });
  }
  for (int step = 1; step < size_; ++step) {
    const auto to = static_cast<size_t>((rank_ + step) % size_);
    each_message(route.send_starts[to], route.send_bytes[to], [&](int64_t at, int bytes) {
      MPI_Request request = MPI_REQUEST_NULL;
      check_mpi(MPI_Isend(route.send + at, bytes, MPI_BYTE, static_cast<int>(to), route.tag, group_,
                          &request),
                operation.where, "MPI_Isend");
      operation.add(request);
    });
  }
}

std::unique_ptr<Work> MpiCommunicator::begin(std::shared_ptr<MpiOperation> operation, Route route) {
  progress_.start(operation, [&](MpiOperation& started) { send_all(started, route); });
  return std::make_unique<Started>(*this, std::move(operation));
}

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

/// Every rank gets its piece of all tensors; `out` becomes the piece's sum.
std::unique_ptr<Work> MpiCommunicator::scatter_and_sum(Pieces pieces, MpiOperation::Stage last) {
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
                        nullptr});
  if (last.post) op->stages.back().post = std::move(last.post);
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
                         {nullptr, [this, gather](MpiOperation& op) { send_all(op, gather); }});
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
  static_cast<Started&>(*work).deliver(tensor, sum);
  return work;
}

std::unique_ptr<Work> MpiCommunicator::start_reduce_scatter(at::Tensor& out, const at::Tensor& in) {
  check_reduce_scatter(out, in, size_);
  if (size_ == 1) return copied(out, in);
  const at::Tensor from = staged(in, true);
  const bool direct = out.is_cpu() && out.scalar_type() == from.scalar_type();
  const at::Tensor sum = direct ? plain(out) : at::empty({out.numel()}, from.options());
  std::vector<int64_t> counts(static_cast<size_t>(size_), out.numel());
  auto work = scatter_and_sum(
      {"reduce_scatter", from, sum, std::move(counts), next_tag() + kReduceScatter}, {});
  static_cast<Started&>(*work).deliver(out, sum);
  return work;
}

std::unique_ptr<Work> MpiCommunicator::start_all_gather(at::Tensor& out, const at::Tensor& in) {
  check_all_gather(out, in, size_);
  if (size_ == 1) return copied(out, in);
  const at::Tensor from = staged(in, false);
  const at::Tensor all = out.is_cpu() ? plain(out) : at::empty({out.numel()}, from.options());
  const auto ranks = static_cast<size_t>(size_);
  const auto bytes = static_cast<int64_t>(from.nbytes());
  Route route{.send = bytes_of(from),
              .send_starts = std::vector<int64_t>(ranks, 0),
              .send_bytes = std::vector<int64_t>(ranks, bytes),
              .receive = bytes_of(all),
              .receive_starts = starts_of(std::vector<int64_t>(ranks, bytes)),
              .receive_bytes = std::vector<int64_t>(ranks, bytes),
              .tag = next_tag() + kAllGather};
  char* own = route.receive + route.receive_starts[static_cast<size_t>(rank_)];
  if (bytes > 0 && own != route.send) std::memcpy(own, route.send, static_cast<size_t>(bytes));
  auto work = begin(operation("all_gather", {from, all}), std::move(route));
  static_cast<Started&>(*work).deliver(out, all);
  return work;
}

std::unique_ptr<Work> MpiCommunicator::start_all_to_all(
    at::Tensor& out, const at::Tensor& in, const std::vector<int64_t>& send_counts,
    const std::vector<int64_t>& receive_counts) {
  check_all_to_all(out, in, {send_counts, receive_counts}, size_);
  const auto self = static_cast<size_t>(rank_);
  TORCH_CHECK(send_counts[self] == receive_counts[self], "all_to_all: rank ", rank_,
              " sends itself ", send_counts[self], " elements but expects ", receive_counts[self]);
  if (size_ == 1) return copied(out, in);
  const at::Tensor from = staged(in, false);
  const at::Tensor all = out.is_cpu() ? plain(out) : at::empty({out.numel()}, from.options());
  Route route{.send = bytes_of(from), .receive = bytes_of(all), .tag = next_tag() + kAllToAll};
  for (const int64_t count : send_counts) route.send_bytes.push_back(count * from.element_size());
  for (const int64_t count : receive_counts) {
    route.receive_bytes.push_back(count * from.element_size());
  }
  route.send_starts = starts_of(route.send_bytes);
  route.receive_starts = starts_of(route.receive_bytes);
  if (route.send_bytes[self] > 0) {
    std::memcpy(route.receive + route.receive_starts[self], route.send + route.send_starts[self],
                static_cast<size_t>(route.send_bytes[self]));
  }
  auto work = begin(operation("all_to_all", {from, all}), std::move(route));
  static_cast<Started&>(*work).deliver(out, all);
  return work;
}

std::unique_ptr<Work> MpiCommunicator::start_broadcast(at::Tensor& tensor, int root) {
  check_tensor(tensor, "broadcast");
  check_root(root, size_);
  if (size_ == 1) return finished();
  const at::Tensor data = staged(tensor, false);
  auto op = operation("broadcast", {data});
  progress_.start(op, [&](MpiOperation& started) {
    const auto total = static_cast<int64_t>(data.nbytes());
    for (int64_t done = 0; done < total; done += kMessageBytes) {
      MPI_Request request = MPI_REQUEST_NULL;
      const int bytes = static_cast<int>(std::min(kMessageBytes, total - done));
      check_mpi(MPI_Ibcast(bytes_of(data) + done, bytes, MPI_BYTE, root, group_, &request),
                started.where, "MPI_Ibcast");
      started.add(request);
    }
  });
  auto work = std::make_unique<Started>(*this, std::move(op));
  work->deliver(tensor, data);
  return work;
}

void MpiCommunicator::barrier() {
  if (size_ == 1) return;
  const auto op = operation("barrier", {});
  progress_.start(op, [&](MpiOperation& started) {
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Ibarrier(group_, &request), started.where, "MPI_Ibarrier");
    started.add(request);
  });
  wait(*op);
}

std::unique_ptr<Communicator> MpiCommunicator::split(int colour, const std::string& name) {
  require<CommError>(colour >= 0, "{}: colour {} is negative", where("split"), colour);
  std::unique_ptr<MpiCommunicator> child;
  progress_.alone(
      [&] {
        MPI_Comm group = MPI_COMM_NULL;
        check_mpi(MPI_Comm_split(group_, colour, rank_, &group), where("split"), "MPI_Comm_split");
        child = std::make_unique<MpiCommunicator>(name, group, progress_);
      },
      timeout());
  child->set_timeout(timeout());
  return child;
}

}  // namespace veomni::comm
