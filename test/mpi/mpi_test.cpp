#include "parallel/comm/mpi.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <thread>

#include "core/error.h"
#include "test/mpi/world.h"
#include "test/parallel/collective_cases.h"

using namespace veomni;
using namespace std::chrono_literals;

namespace {

/// See VEOMNI_SHARED_MEMORY: the tests run both ways.
bool messages_only() {
  const char* setting = std::getenv("VEOMNI_SHARED_MEMORY");
  return setting != nullptr && std::string(setting) == "0";
}

}  // namespace

TEST_CASE("mpi: every collective, exact", "[mpi]") {
  Communicator& world = test::mpi_session().world();
  for (const auto& one : test::collective_cases()) {
    INFO(one.name << ", rank " << world.rank() << " of " << world.size());
    CHECK(one.run(world) == "");
  }
}

TEST_CASE("mpi: ranks of one machine are counted", "[mpi]") {
  MpiSession& session = test::mpi_session();
  CHECK(session.local_size() == session.world().size());
  CHECK(session.local_rank() == session.world().rank());
}

TEST_CASE("mpi: a late rank is a timeout that names group, rank and call", "[mpi]") {
  Communicator& world = test::mpi_session().world();
  const int last = world.size() - 1;
  if (last == 0) return;
  const auto group = world.split(0, "shard");
  group->set_timeout(300ms);
  at::Tensor t = at::ones({4});
  std::string message;
  if (world.rank() == last) std::this_thread::sleep_for(800ms);
  const auto work = group->start_all_reduce(t);
  try {
    work->wait();
  } catch (const CommError& error) {
    message = error.what();
  }
  if (world.rank() == last) {
    CHECK(message == "");
  } else {
    const auto beginning = fmt::format("shard: rank {} of {}: all_reduce: timed out after 0.3 s; ",
                                       world.rank(), world.size());
    const auto missing = fmt::format("missing ranks: {} (1 behind; computes)", last);
    CHECK(message == beginning + (messages_only() ? "another rank ended, hangs or made other calls"
                                                  : missing));
    group->set_timeout(10s);
    work->wait();  // the call itself is still good
  }
  CHECK(t.equal(at::full({4}, world.size(), at::kFloat)));
}

TEST_CASE("mpi: different sizes of one call are an error, not wrong numbers", "[mpi]") {
  Communicator& world = test::mpi_session().world();
  if (world.size() != 2) return;
  const auto group = world.split(0, "shard");
  at::Tensor t = at::zeros({world.rank() == 0 ? 4 : 5});
  CHECK_THROWS_AS(group->all_reduce(t), CommError);
}

TEST_CASE("mpi: a started sum completes while the caller computes", "[mpi]") {
  Communicator& world = test::mpi_session().world();
  if (world.size() != 2) return;
  at::Tensor t = at::ones({1 << 21});
  world.barrier();
  const auto work = world.start_all_reduce(t);
  std::this_thread::sleep_for(400ms);
  const double before = world.seconds();
  work->wait();
  CHECK(world.seconds() - before < 0.1);
  CHECK(t.eq(2).all().item<bool>());
}

// Not in a plain run: `mpirun -n 2 test_mpi "[abort]"` must end at once with exit code 3.
TEST_CASE("mpi: abort ends the ranks that wait", "[.][abort]") {
  MpiSession& session = test::mpi_session();
  if (session.world().rank() == 1) session.abort(3);
  session.world().barrier();
}
