// Latency and bandwidth, printed by `mpirun -n 2 test_mpi "[bench]"`; not part of a plain run.
#include <catch2/catch.hpp>

#include "parallel/comm/mpi.h"
#include "test/mpi/world.h"

using namespace veomni;

namespace {

/// Median and least time of one call in microseconds; the least is what a busy machine hides.
std::string times_of(Communicator& world, int calls, const std::function<void()>& call) {
  std::vector<double> times;
  world.barrier();
  for (int i = 0; i < calls; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    call();
    const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - begin;
    times.push_back(time.count());
  }
  std::sort(times.begin(), times.end());
  return fmt::format("{:8.1f} ({:8.1f})", times[times.size() / 2], times[0]);
}

}  // namespace

TEST_CASE("mpi: latency and bandwidth", "[.][bench]") {
  Communicator& world = test::mpi_session().world();
  const int size = world.size();
  for (const int64_t bytes : {8, 1 << 10, 16 << 10, 256 << 10, 4 << 20, 32 << 20}) {
    at::Tensor whole = at::zeros({bytes / 4}), all = at::zeros({size * bytes / 4});
    const int calls = bytes <= (256 << 10) ? 100 : 8;
    const std::string reduce = times_of(world, calls, [&] { world.all_reduce(whole); });
    const std::string gather = times_of(world, calls, [&] { world.all_gather(all, whole); });
    const std::string scatter = times_of(world, calls, [&] { world.reduce_scatter(whole, all); });
    const std::string cast = times_of(world, calls, [&] { world.broadcast(whole, 0); });
    if (world.rank() != 0) continue;
    fmt::print(
        "{:>9} bytes a rank, us: all_reduce {}  all_gather {}  reduce_scatter {}  broadcast {}\n",
        bytes, reduce, gather, scatter, cast);
    std::fflush(stdout);
  }
}
