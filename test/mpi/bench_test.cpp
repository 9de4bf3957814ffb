// Latency and bandwidth, printed by `mpirun -n 2 test_mpi "[bench]"`; not part of a plain run.
#include <catch2/catch.hpp>

#include "parallel/comm/mpi.h"
#include "test/mpi/world.h"

using namespace veomni;

namespace {

/// Seconds of one call, the least of five rounds.
double seconds_of(Communicator& world, int calls, const std::function<void()>& call) {
  double least = 1e9;
  for (int round = 0; round < 5; ++round) {
    world.barrier();
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) call();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    least = std::min(least, time.count() / calls);
  }
  return least;
}

}  // namespace

TEST_CASE("mpi: latency and bandwidth", "[.][bench]") {
  Communicator& world = test::mpi_session().world();
  const int size = world.size();
  for (const int64_t bytes : {8, 1 << 10, 16 << 10, 256 << 10, 4 << 20, 32 << 20}) {
    at::Tensor whole = at::zeros({bytes / 4}), all = at::zeros({size * bytes / 4});
    const int calls = bytes <= (16 << 10) ? 500 : (bytes <= (256 << 10) ? 50 : 4);
    const double reduce = seconds_of(world, calls, [&] { world.all_reduce(whole); });
    const double gather = seconds_of(world, calls, [&] { world.all_gather(all, whole); });
    const double scatter = seconds_of(world, calls, [&] { world.reduce_scatter(whole, all); });
    const double cast = seconds_of(world, calls, [&] { world.broadcast(whole, 0); });
    if (world.rank() != 0) continue;
    fmt::print(
        "{:>9} bytes a rank: all_reduce {:8.1f} us  all_gather {:8.1f} us  reduce_scatter {:8.1f} "
        "us"
        "  broadcast {:8.1f} us\n",
        bytes, reduce * 1e6, gather * 1e6, scatter * 1e6, cast * 1e6);
  }
}
