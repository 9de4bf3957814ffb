// Ranks are threads here, each with a mapping of its own; test/mpi has them as processes.
#include <catch2/catch.hpp>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "parallel/comm/shared_communicator.h"
#include "parallel/comm/thread.h"
#include "test/parallel/collective_cases.h"

using namespace veomni;
using namespace veomni::comm;
using namespace std::chrono_literals;

namespace {

/// Calls fn(group) on `size` threads; returns what each of them threw.
std::vector<std::string> with_shared_ranks(int size, const std::function<void(Communicator&)>& fn) {
  const int64_t bytes = SharedRings::segment_bytes(size);
  const auto first = SharedSegment::create(bytes);
  REQUIRE(first);
  std::vector<std::string> thrown(static_cast<size_t>(size));
  std::vector<SharedProgress> progress(static_cast<size_t>(size));
  std::vector<std::unique_ptr<SharedCommunicator>> groups;
  for (int rank = 0; rank < size; ++rank) {
    auto segment = SharedSegment::open(first->id(), bytes);
    REQUIRE(segment);
    groups.push_back(std::make_unique<SharedCommunicator>(
        "shard", SharedCommunicator::Place{rank, size},
        std::make_unique<SharedRings>(std::move(segment), rank, size),
        progress[static_cast<size_t>(rank)]));
    groups.back()->set_timeout(20s);
  }
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        fn(*groups[static_cast<size_t>(rank)]);
      } catch (const std::exception& error) {
        thrown[static_cast<size_t>(rank)] = error.what();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  return thrown;
}

std::vector<std::string> silence(int size) {
  return std::vector<std::string>(static_cast<size_t>(size));
}

}  // namespace

TEST_CASE("shared: every collective, exact", "[parallel][shared][ranks]") {
  const int size = GENERATE(2, 3, 4);
  for (const auto& one : test::collective_cases()) {
    INFO(one.name << " of " << size);
    std::vector<std::string> wrong = silence(size);
    const auto thrown = with_shared_ranks(size, [&](Communicator& group) {
      wrong[static_cast<size_t>(group.rank())] = one.run(group);
    });
    CHECK(wrong == silence(size));
    CHECK(thrown == silence(size));
  }
}

TEST_CASE("shared: tensors larger than the rings, several under way, waited for in any order",
          "[parallel][shared][ranks]") {
  constexpr int kRanks = 3;
  const int64_t count = SharedRings::kRingBytes / 4 + 1000;  // of each rank's part
  std::vector<int> right(kRanks);
  const auto thrown = with_shared_ranks(kRanks, [&](Communicator& group) {
    const auto mine = static_cast<float>(group.rank() + 1);
    const at::Tensor part = at::full({count}, mine), whole = at::full({kRanks * count}, mine);
    at::Tensor gathered = at::zeros({kRanks * count}), summed = at::zeros({count}),
               reduced = at::full({count}, mine), small = at::full({3}, mine);
    auto gather = group.start_all_gather(gathered, part);
    auto scatter = group.start_reduce_scatter(summed, whole);
    auto reduce = group.start_all_reduce(reduced);
    auto little = group.start_all_reduce(small);
    if (group.rank() == 1) {
      gather->wait();
      scatter->wait();
    }
    little->wait();
    reduce->wait();
    scatter->wait();
    gather->wait();
    bool good = summed.eq(6).all().item<bool>() && reduced.eq(6).all().item<bool>() &&
                small.eq(6).all().item<bool>();
    for (int rank = 0; rank < kRanks; ++rank)
      good = good && gathered.narrow(0, rank * count, count).eq(rank + 1).all().item<bool>();
    right[static_cast<size_t>(group.rank())] = good;
  });
  CHECK(thrown == silence(kRanks));
  CHECK(right == std::vector<int>{1, 1, 1});
}

TEST_CASE("shared: thousands of calls pass through the same slots", "[parallel][shared][ranks]") {
  std::vector<int64_t> sums(2);
  const auto thrown = with_shared_ranks(2, [&](Communicator& group) {
    int64_t sum = 0;
    for (int64_t i = 0; i < 3000; ++i) {
      at::Tensor t = at::full({1 + i % 700}, i + group.rank(), at::kLong);
      group.all_reduce(t);
      sum += t[-1].item<int64_t>();
    }
    sums[static_cast<size_t>(group.rank())] = sum;
  });
  CHECK(thrown == silence(2));
  CHECK(sums == std::vector<int64_t>(2, 3000 * 2999 + 3000));
}

TEST_CASE("shared: a rank that waits in another group still hands out what it owes",
          "[parallel][shared][ranks]") {
  const int64_t count = SharedRings::kRingBytes / 2;  // 2 rings full of floats
  std::vector<int> right(2);
  const auto thrown = with_shared_ranks(2, [&](Communicator& group) {
    const auto other = group.split(0, "other");
    at::Tensor large = at::full({count}, group.rank() + 1, at::kFloat), small = at::ones({2});
    auto first = group.start_all_reduce(large);
    auto second = other->start_all_reduce(small);
    (group.rank() == 0 ? first : second)->wait();
    (group.rank() == 0 ? second : first)->wait();
    right[static_cast<size_t>(group.rank())] =
        large.eq(3).all().item<bool>() && small.eq(2).all().item<bool>();
  });
  CHECK(thrown == silence(2));
  CHECK(right == std::vector<int>{1, 1});
}

TEST_CASE("shared: a rank that does not come is named, with where it is",
          "[parallel][shared][ranks]") {
  const auto thrown = with_shared_ranks(3, [](Communicator& group) {
    at::Tensor t = at::zeros({2}), all = at::zeros({6});
    group.set_timeout(200ms);
    group.all_reduce(t);
    if (group.rank() == 1) return;
    group.all_gather(all, t);
    group.barrier();
  });
  CHECK(thrown[0] ==
        "shard: rank 0 of 3: all_gather: timed out after 0.2 s; missing ranks: 1 (1 behind, at "
        "all_reduce; computes)");
  CHECK(thrown[1].empty());
  CHECK(thrown[2] ==
        "shard: rank 2 of 3: all_gather: timed out after 0.2 s; missing ranks: 1 (1 behind, at "
        "all_reduce; computes)");
}

TEST_CASE("shared: where a missing rank waits elsewhere, the message says in which group",
          "[parallel][shared][ranks]") {
  const auto thrown = with_shared_ranks(2, [](Communicator& group) {
    const auto other = group.split(0, "sequence");
    at::Tensor t = at::zeros({2});
    group.set_timeout(400ms);
    other->set_timeout(1200ms);
    (group.rank() == 0 ? group : *other).all_reduce(t);
  });
  CHECK_THAT(thrown[0],
             Catch::Contains("shard: rank 0 of 2: all_reduce: timed out after 0.4 s; "
                             "missing ranks: 1 (") &&
                 Catch::Contains("waits in sequence: rank 1 of 2: all_reduce, missing ranks: 0 ("));
}

TEST_CASE("shared: different calls or sizes are an error that names both",
          "[parallel][shared][ranks]") {
  const auto sizes = with_shared_ranks(2, [](Communicator& group) {
    at::Tensor t = at::zeros({group.rank() == 0 ? 4 : 5});
    group.all_reduce(t);
  });
  CHECK(sizes[0] ==
        "shard: rank 0 of 2: all_reduce: rank 1 called all_reduce and sends 20 bytes instead of "
        "16; all ranks must make the same calls");
  const auto calls = with_shared_ranks(2, [](Communicator& group) {
    at::Tensor t = at::zeros({4});
    group.rank() == 0 ? group.all_reduce(t) : group.broadcast(t, 1);
  });
  CHECK(calls[0].find("rank 1 called broadcast") != std::string::npos);
}

TEST_CASE("shared: memory that cannot be reached is null, not a crash", "[parallel][shared]") {
  const auto segment = SharedSegment::create(1 << 20);
  REQUIRE(segment);
  CHECK(SharedSegment::open(segment->id(), 1 << 20));
  CHECK_FALSE(SharedSegment::open(segment->id(), 1 << 21));  // another size
  CHECK_FALSE(SharedSegment::open({segment->id().process, 9999}, 1 << 20));
  CHECK_FALSE(SharedSegment::open({-1, 3}, 1 << 20));
  segment->close_descriptor();
  CHECK_FALSE(SharedSegment::open(segment->id(), 1 << 20));
}
