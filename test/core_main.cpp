// Runs every test with one backward thread: autograd then stays on the calling (rank) thread.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

int main(int argc, char* argv[]) {
  c10::AutogradState::get_tls_state().set_multithreading_enabled(false);
  return Catch::Session().run(argc, argv);
}
