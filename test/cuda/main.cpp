// Without a device only the cases that need none run; the rest is reported as skipped (exit code
// 77).
#define CATCH_CONFIG_RUNNER
#include <cuda_runtime.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <string>

int main(int argc, char* argv[]) {
  Catch::Session session;
  if (const int code = session.applyCommandLine(argc, argv)) return code;
  int devices = 0;
  const bool device = cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0;
  auto& config = session.configData();
  const bool only_table = config.testsOrTags == std::vector<std::string>{"[table]"};
  const bool skip = !device && !only_table && !config.listTests && !config.listTags;
  if (skip) config.testsOrTags = {"[table]"};
  const int code = session.run();
  if (!skip || code != 0) return code;
  std::puts("SKIPPED: no GPU");
  return 77;
}
