#include "parallel/comm/shared_communicator.h"

#include <cstring>

#include "core/error.h"
#include "parallel/comm/check.h"
#include "parallel/comm/staging.h"

namespace veomni::comm {
namespace {

/// Up to here an all_reduce is one message of each rank, which all of them sum.
constexpr int64_t kExchangeBytes = int64_t{64} << 10;

}  // namespace

struct SharedCommunicator::Started : Work {
  Started(SharedCommunicator& its_owner, std::shared_ptr<SharedOperation> its_operation)
      : owner(its_owner), operation(std::move(its_operation)) {}
  void wait() override {
    owner.wait(*operation);
    delivery.deliver();
  }
  SharedCommunicator& owner;
  std::shared_ptr<SharedOperation> operation;
  Delivery delivery;
};

SharedCommunicator::SharedCommunicator(std::string name, Place place,
                                       std::unique_ptr<SharedRings> rings, SharedProgress& progress)
    : name_(std::move(name)),
      place_(place),
      progress_(progress),
      group_(std::move(rings), place.rank, place.size) {
  progress_.add(group_);
}

SharedCommunicator::~SharedCommunicator() { progress_.remove(group_); }

void SharedCommunicator::wait(SharedOperation& operation) {
  const auto begin = std::chrono::steady_clock::now();
  progress_.wait(group_, operation, timeout());
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::unique_ptr<SharedCommunicator::Started> SharedCommunicator::begin(
    std::shared_ptr<SharedOperation> operation) {
  progress_.start(group_, operation);
  return std::make_unique<Started>(*this, std::move(operation));
}

std::shared_ptr<SharedOperation> SharedCommunicator::operation(SharedCall call,
                                                               std::vector<at::Tensor> keep) const {
  auto operation = std::make_shared<SharedOperation>();
  operation->call = call;
  operation->where = where(name_of(call));
  operation->sources.resize(static_cast<size_t>(size()));
  operation->keep = std::move(keep);
  return operation;
}

/// Every rank's piece of `all`, whose own piece is there already.
std::shared_ptr<SharedOperation> SharedCommunicator::gather(
    SharedCall call, const at::Tensor& all, const std::vector<int64_t>& counts) const {
  auto op = operation(call, {all});
  const int64_t item = all.element_size();
  const auto starts = starts_of(counts);
  for (size_t rank = 0; rank < counts.size(); ++rank)
    op->sources[rank] = {.bytes = counts[rank] * item, .to = bytes_of(all) + starts[rank] * item};
  op->sends.push_back({op->sources[self()].to, op->sources[self()].bytes, kToAll});
  return op;
}

/// Every rank gets its piece of all tensors; `out` becomes the piece's sum.
std::shared_ptr<SharedOperation> SharedCommunicator::scatter_and_sum(
    SharedCall call, const at::Tensor& in, const at::Tensor& out,
    const std::vector<int64_t>& counts) const {
  auto op = operation(call, {in, out});
  const int64_t item = in.element_size();
  const auto starts = starts_of(counts);
  for (int step = 1; step < size(); ++step) {
    const auto to = static_cast<size_t>((rank() + step) % size());
    op->sends.push_back(
        {bytes_of(in) + starts[to] * item, counts[to] * item, static_cast<int>(to)});
  }
  for (auto& source : op->sources) source.bytes = counts[self()] * item;
  op->sum = {bytes_of(out), bytes_of(in) + starts[self()] * item, in.scalar_type()};
  return op;
}

std::unique_ptr<Work> SharedCommunicator::start_all_reduce(at::Tensor& tensor) {
  check_tensor(tensor, "all_reduce");
  if (size() == 1) return finished();
  const at::Tensor sum = staged(tensor, true);
  const auto bytes = static_cast<int64_t>(sum.nbytes());
  std::unique_ptr<Started> work;
  if (bytes <= kExchangeBytes) {
    auto op = operation(SharedCall::all_reduce, {sum});
    op->sends.push_back({bytes_of(sum), bytes, kToAll});
    for (auto& source : op->sources) source.bytes = bytes;
    op->sum = {bytes_of(sum), bytes_of(sum), sum.scalar_type()};
    op->in_place = true;
    work = begin(std::move(op));
  } else {
    const int64_t count = sum.numel();
    std::vector<int64_t> counts;
    for (int64_t r = 0; r < size(); ++r)
      counts.push_back(count * (r + 1) / size() - count * r / size());
    const at::Tensor flat = sum.view(-1);
    const at::Tensor own = flat.narrow(0, starts_of(counts)[self()], counts[self()]);
    auto pieces = scatter_and_sum(SharedCall::all_reduce, flat, own, counts);
    auto whole = gather(SharedCall::all_reduce, flat, counts);
    whole->after = pieces;
    begin(std::move(pieces));
    work = begin(std::move(whole));
  }
  work->delivery.set(tensor, sum);
  return work;
}

std::unique_ptr<Work> SharedCommunicator::start_reduce_scatter(at::Tensor& out,
                                                               const at::Tensor& in) {
  check_reduce_scatter(out, in, size());
  if (size() == 1) return copied(out, in);
  const at::Tensor from = staged(in, true);
  const at::Tensor sum = place_for(out, from);
  const std::vector<int64_t> counts(static_cast<size_t>(size()), out.numel());
  auto work = begin(scatter_and_sum(SharedCall::reduce_scatter, from.view(-1), sum, counts));
  work->delivery.set(out, sum);
  return work;
}

std::unique_ptr<Work> SharedCommunicator::start_all_gather(at::Tensor& out, const at::Tensor& in) {
  check_all_gather(out, in, size());
  if (size() == 1) return copied(out, in);
  const at::Tensor from = staged(in, false);
  const at::Tensor all = place_for(out, from);
  auto op = gather(SharedCall::all_gather, all,
                   std::vector<int64_t>(static_cast<size_t>(size()), in.numel()));
  char* own = op->sources[self()].to;
  if (from.nbytes() > 0 && own != bytes_of(from)) std::memcpy(own, bytes_of(from), from.nbytes());
  auto work = begin(std::move(op));
  work->delivery.set(out, all);
  return work;
}

std::unique_ptr<Work> SharedCommunicator::start_all_to_all(
    at::Tensor& out, const at::Tensor& in, const std::vector<int64_t>& send_counts,
    const std::vector<int64_t>& receive_counts) {
  check_all_to_all(out, in, {send_counts, receive_counts}, size());
  TORCH_CHECK(send_counts[self()] == receive_counts[self()], "all_to_all: rank ", rank(),
              " sends itself ", send_counts[self()], " elements but expects ",
              receive_counts[self()]);
  if (size() == 1) return copied(out, in);
  const at::Tensor from = staged(in, false);
  const at::Tensor all = place_for(out, from);
  auto op = operation(SharedCall::all_to_all, {from, all});
  const int64_t item = from.element_size();
  const auto sends = starts_of(send_counts), receives = starts_of(receive_counts);
  for (int step = 1; step < size(); ++step) {
    const auto to = static_cast<size_t>((rank() + step) % size());
    op->sends.push_back(
        {bytes_of(from) + sends[to] * item, send_counts[to] * item, static_cast<int>(to)});
  }
  for (size_t rank = 0; rank < receives.size(); ++rank)
    op->sources[rank] = {.bytes = receive_counts[rank] * item,
                         .to = bytes_of(all) + receives[rank] * item};
  if (send_counts[self()] > 0)
    std::memcpy(op->sources[self()].to, bytes_of(from) + sends[self()] * item,
                static_cast<size_t>(send_counts[self()] * item));
  auto work = begin(std::move(op));
  work->delivery.set(out, all);
  return work;
}

std::unique_ptr<Work> SharedCommunicator::start_broadcast(at::Tensor& tensor, int root) {
  check_tensor(tensor, "broadcast");
  check_root(root, size());
  if (size() == 1) return finished();
  const at::Tensor data = staged(tensor, false);
  const auto bytes = static_cast<int64_t>(data.nbytes());
  auto op = operation(SharedCall::broadcast, {data});
  for (auto& source : op->sources) source.bytes = -1;
  if (rank() == root) {
    op->sends.push_back({bytes_of(data), bytes, kToAll});
  } else {
    op->sources[static_cast<size_t>(root)] = {.bytes = bytes, .to = bytes_of(data)};
  }
  auto work = begin(std::move(op));
  work->delivery.set(tensor, data);
  return work;
}

void SharedCommunicator::barrier() {
  if (size() == 1) return;
  auto op = operation(SharedCall::barrier, {});
  op->sends.push_back({nullptr, 0, kToAll});
  begin(std::move(op))->wait();
}

std::unique_ptr<Communicator> SharedCommunicator::split(int colour, const std::string& name) {
  require<CommError>(colour >= 0, "{}: colour {} is negative", where("split"), colour);
  const auto share = [&](std::initializer_list<int64_t> mine) {
    at::Tensor table = at::empty({size(), static_cast<int64_t>(mine.size())}, at::kLong);
    at::Tensor own = at::empty({static_cast<int64_t>(mine.size())}, at::kLong);
    std::copy(mine.begin(), mine.end(), own.mutable_data_ptr<int64_t>());
    all_gather(table, own);
    return table;
  };
  const at::Tensor colours = share({colour});
  Place place{0, 0};
  int leader = -1;
  for (int rank = 0; rank < size(); ++rank) {
    if (colours[rank][0].item<int64_t>() != colour) continue;
    if (leader < 0) leader = rank;
    if (rank < this->rank()) ++place.rank;
    ++place.size;
  }
  std::unique_ptr<SharedSegment> segment;
  const int64_t bytes = SharedRings::segment_bytes(place.size);
  if (leader == rank() && place.size > 1) segment = SharedSegment::create(bytes);
  const auto id = segment ? segment->id() : SharedSegment::Id{};
  const at::Tensor ids = share({id.process, id.descriptor});
  if (leader != rank())
    segment = SharedSegment::open({ids[leader][0].item<int64_t>(), ids[leader][1].item<int64_t>()},
                                  bytes);
  at::Tensor failures = at::full({1}, place.size > 1 && !segment ? 1 : 0, at::kLong);
  all_reduce(failures);
  require<CommError>(failures.item<int64_t>() == 0,
                     "{}: no shared memory for the group; set VEOMNI_SHARED_MEMORY=0",
                     where("split"));
  std::unique_ptr<SharedRings> rings;
  if (segment) {
    segment->close_descriptor();
    rings = std::make_unique<SharedRings>(std::move(segment), place.rank, place.size);
  }
  auto child = std::make_unique<SharedCommunicator>(name, place, std::move(rings), progress_);
  child->set_timeout(timeout());
  return child;
}

}  // namespace veomni::comm
