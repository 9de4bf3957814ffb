#include "parallel/device.h"

#include <catch2/catch.hpp>

#include "core/error.h"
#include "kernels/cuda_library.h"

namespace veomni {

TEST_CASE("device: cpu needs nothing", "[parallel][device]") {
  const Device device = open_device({.wanted = "cpu"});
  CHECK_FALSE(device.cuda);
  CHECK(device.name == "cpu");
  CHECK(peak_device_bytes(device) == 0);
  CHECK_NOTHROW(reset_peak_device_bytes(device));
  CHECK_NOTHROW(synchronize(device));
}

TEST_CASE("device: another word is the user's mistake", "[parallel][device]") {
  CHECK_THROWS_WITH(open_device({.wanted = "gpu"}),
                    "train.device: 'gpu' is not a device; use cpu or cuda");
  CHECK_THROWS_AS(open_device({.wanted = ""}), ConfigError);
}

TEST_CASE("device: cuda without a GPU says what to do", "[parallel][device]") {
  const GpuReport report = find_gpus();
  if (!report.gpus.empty()) return;  // with one, test_cuda is the test
  CHECK(report.problem.find("set train.device to cpu") != std::string::npos);
  CHECK_THROWS_AS(open_device({.wanted = "cuda"}), DeviceError);
  CHECK_THROWS_WITH(open_device({.wanted = "cuda"}), report.problem);
  CHECK(report.problem.find('\n') == std::string::npos);
}

TEST_CASE("device: a build without the CUDA library says so", "[parallel][device]") {
  if (kernels::cuda_built()) {
    CHECK(kernels::cuda_table().version == kVeomniCudaTableVersion);
    CHECK(kernels::cuda_symbol("veomni_nccl_table") != nullptr);
    CHECK_THROWS_AS(kernels::cuda_symbol("no_such_function"), DeviceError);
    return;
  }
  CHECK_THROWS_WITH(kernels::cuda_table(),
                    "device: this build has no CUDA library; install the CUDA toolkit and build "
                    "again, or set train.device to cpu");
}

}  // namespace veomni
