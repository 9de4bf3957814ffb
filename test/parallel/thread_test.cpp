#include "parallel/comm/thread.h"

#include <catch2/catch.hpp>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "test/parallel/collective_cases.h"

using namespace veomni;
using namespace std::chrono_literals;

namespace {

/// The message of every rank that threw CommError.
std::vector<std::string> comm_errors(const ThreadRanks& ranks,
                                     const std::function<void(Communicator&)>& fn) {
  std::vector<std::string> messages(static_cast<size_t>(ranks.size));
  try {
    run_ranks(ranks, [&](Communicator& world) {
      try {
        fn(world);
      } catch (const CommError& error) {
        messages[static_cast<size_t>(world.rank())] = error.what();
        throw;
      }
    });
  } catch (const std::exception&) {
  }
  return messages;
}

}  // namespace

TEST_CASE("thread: every collective, exact", "[parallel][ranks]") {
  const int size = GENERATE(1, 2, 3, 4);
  for (const auto& one : test::collective_cases()) {
    std::vector<std::string> wrong(static_cast<size_t>(size));
    run_ranks(size, [&](Communicator& world) {
      wrong[static_cast<size_t>(world.rank())] = one.run(world);
    });
    for (int rank = 0; rank < size; ++rank) {
      INFO(one.name << ", rank " << rank << " of " << size);
      CHECK(wrong[static_cast<size_t>(rank)].empty());
    }
  }
}

TEST_CASE("thread: a call without a peer times out and says who is missing", "[parallel][ranks]") {
  const auto messages = comm_errors({.size = 3, .timeout = 200ms}, [](Communicator& world) {
    const auto group = world.split(0, "shard");
    at::Tensor t = at::zeros({2});
    if (world.rank() != 1) group->all_reduce(t);
  });
  const bool first =
      messages[0] == "shard: rank 0 of 3: all_reduce: timed out after 0.2 s; missing ranks: 1";
  const bool third =
      messages[2] == "shard: rank 2 of 3: all_reduce: timed out after 0.2 s; missing ranks: 1";
  INFO(messages[0] << " | " << messages[2]);
  CHECK((first || third));
}

TEST_CASE("thread: when a rank throws the others end at once and the caller gets its exception",
          "[parallel][ranks]") {
  std::vector<std::string> messages(3);
  const auto begin = std::chrono::steady_clock::now();
  CHECK_THROWS_WITH(run_ranks(3,
                              [&](Communicator& world) {
                                if (world.rank() == 1) throw ConfigError("train.lr: too large");
                                try {
                                  world.barrier();
                                } catch (const CommError& error) {
                                  messages[static_cast<size_t>(world.rank())] = error.what();
                                  throw;
                                }
                              }),
                    "train.lr: too large");
  CHECK(std::chrono::steady_clock::now() - begin < 2s);
  CHECK(messages[0] == "world: rank 0 of 3: barrier: rank 1 failed: train.lr: too large");
}

TEST_CASE("thread: different calls are an error that names both", "[parallel][ranks]") {
  const auto messages = comm_errors({.size = 2, .timeout = 1s}, [](Communicator& world) {
    at::Tensor t = at::zeros({world.rank() == 0 ? 4 : 5});
    world.all_reduce(t);
  });
  const std::string text = messages[0].empty() ? messages[1] : messages[0];
  INFO(text);
  CHECK(text.find("of 4 Float elements") != std::string::npos);
  CHECK(text.find("all ranks must make the same calls") != std::string::npos);
}

TEST_CASE("thread: ranks take the caller's gradient mode and a share of its threads",
          "[parallel][ranks]") {
  const int before = at::get_num_threads();
  for (const bool grad : {true, false}) {
    const at::AutoGradMode mode(grad);
    std::vector<int> ok(2);
    run_ranks({.size = 2, .threads_per_rank = 1}, [&](Communicator& world) {
      ok[static_cast<size_t>(world.rank())] =
          at::GradMode::is_enabled() == grad && at::get_num_threads() == 1;
    });
    CHECK(ok == std::vector<int>{1, 1});
  }
  CHECK(at::get_num_threads() == before);
}
