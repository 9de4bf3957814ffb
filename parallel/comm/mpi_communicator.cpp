#include "parallel/comm/mpi_communicator.h"

#include <cstring>

#include "core/error.h"
#include "parallel/comm/check.h"
#include "parallel/comm/mpi_route.h"

namespace veomni::comm {
namespace {

constexpr int64_t kMessageBytes = int64_t{1} << 30;  // counts of MPI are int

}  // namespace

// No destructor frees the group: that is collective in MPI, and after an error nobody may wait for
// peers.
MpiCommunicator::MpiCommunicator(std::string name, MPI_Comm group, const MpiTransports& transports)
    : name_(std::move(name)),
      group_(group),
      transports_(transports),
      progress_(transports.messages) {
  check_mpi(MPI_Comm_rank(group_, &rank_), name_, "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(group_, &size_), name_, "MPI_Comm_size");
}

int MpiCommunicator::next_tag() {
  constexpr int kTagBound = 1 << 30;  // OpenMPI takes any int
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
  progress_.wait(operation, timeout());
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
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

std::unique_ptr<Work> MpiCommunicator::start_all_gather(at::Tensor& out, const at::Tensor& in) {
  check_all_gather(out, in, size_);
  if (size_ == 1) return copied(out, in);
  const at::Tensor from = staged(in, false);
  const at::Tensor all = place_for(out, from);
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
  static_cast<Started&>(*work).delivery.set(out, all);
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
  const at::Tensor all = place_for(out, from);
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
  static_cast<Started&>(*work).delivery.set(out, all);
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
  work->delivery.set(tensor, data);
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
  std::unique_ptr<Communicator> child;
  progress_.alone(
      [&] {
        MPI_Comm group = MPI_COMM_NULL;
        check_mpi(MPI_Comm_split(group_, colour, rank_, &group), where("split"), "MPI_Comm_split");
        child = make_group(name, group, transports_);
      },
      timeout());
  child->set_timeout(timeout());
  return child;
}

}  // namespace veomni::comm
