// Runs the cases on every rank of mpirun; the exit code of rank 0 is 0 only when all ranks passed.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include "parallel/comm/mpi.h"
#include "test/mpi/world.h"

namespace {
veomni::MpiSession* session = nullptr;
}

veomni::MpiSession& veomni::test::mpi_session() { return *session; }

int main(int argc, char* argv[]) {
  c10::AutogradState::get_tls_state().set_multithreading_enabled(false);
  at::set_num_threads(1);
  veomni::MpiSession own;
  session = &own;
  own.world().set_timeout(std::chrono::seconds(60));
  const int failed = Catch::Session().run(argc, argv);
  at::Tensor all_failed = at::full({1}, failed, at::kLong);
  own.world().all_reduce(all_failed);
  own.close();
  return all_failed.item<int64_t>() == 0 ? 0 : 1;
}
