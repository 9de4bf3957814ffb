#include "core/train/page_tensor.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <vector>

using namespace veomni;

namespace {

int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

}  // namespace

TEST_CASE("page tensor: zeros, freed with the last reference", "[train]") {
  for (const int64_t count : {0, 1, 1000, 300000, 1100000}) {
    const at::Tensor made = page_tensor(count);
    CHECK(made.equal(at::zeros({count})));
    CHECK(zeros_of_size(made).equal(made));
  }
  const int64_t before = resident_bytes();
  for (int i = 0; i < 20; ++i) page_tensor(5000000).fill_(1);
  CHECK(resident_bytes() - before < 3 * 5000000 * 4);
}

// Mappings side by side are one to the kernel, and a huge page that is asked for by one of them covers its neighbours.
TEST_CASE("page tensor: what is not written takes no memory, whatever lies beside it", "[train]") {
  constexpr int64_t kCount = 400000;  // 1.6 MB: no whole huge page
  const int64_t before = resident_bytes();
  std::vector<at::Tensor> all;
  for (int i = 0; i < 100; ++i) {
    all.push_back(page_tensor(kCount));
    all.back()[kCount / 2] = 1;
  }
  CHECK(resident_bytes() - before < 20 << 20);  // of 160 MB
}
