#include "parallel/device.h"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstdlib>

#include "core/error.h"
#include "kernels/cuda_library.h"

namespace veomni {
namespace {

GpuInfo describe(const VeomniCudaTable& table, int index) {
  VeomniDeviceInfo info{};
  const int code = table.device_info(index, &info);
  require<DeviceError>(code == 0, "device: cuda:{}: {}", index, table.error_text(code));
  return {info.name, info.major, info.minor, info.memory_bytes, info.free_bytes};
}

int count_gpus(const VeomniCudaTable& table) {
  int count = 0;
  const int code = table.device_count(&count);
  require<DeviceError>(code == 0,
                       "device: no GPU: {}; install NVIDIA's driver, or set train.device to cpu",
                       table.error_text(code));
  require<DeviceError>(count > 0, "device: this machine shows no GPU; set train.device to cpu");
  return count;
}

int choose(const DeviceRequest& request, int count) {
  const bool enough = request.local_ranks <= count || request.share;
  require<DeviceError>(enough,
                       "device: {} ranks on this machine, but it has {} GPU{}; start at most one "
                       "rank for each GPU, or set train.device to cpu",
                       request.local_ranks, count, count == 1 ? "" : "s");
  return request.local_rank % count;
}

/// Kernels are compiled for compute capability 8.0, 9.0 and what comes later.
void check_capability(const GpuInfo& gpu, int index) {
  require<DeviceError>(gpu.major >= 8,
                       "device: cuda:{} ({}) has compute capability {}.{}, kernels need 8.0; set "
                       "train.device to cpu",
                       index, gpu.name, gpu.major, gpu.minor);
}

/// The same plan gives the same bits: LibTorch's operators that add with atomics take their other way, and cuBLAS keeps to one
/// workspace. An operator that has no other way throws. And fp32 is fp32: convolutions would round their inputs to TF32.
void make_exact() {
  constexpr int kKeep = 0;  // the user's own setting
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", kKeep);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setAllowTF32CuDNN(false);
}

/// Makes the context and one allocation; what LibTorch says becomes a DeviceError.
void start_torch(int index) {
  try {
    const c10::Device device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index));
    require<DeviceError>(at::hasCUDA(),
                         "device: LibTorch was asked about CUDA before its CUDA library was "
                         "loaded; open the device first");
    make_exact();
    c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA).setDevice(device);
    (void)at::empty({1}, at::TensorOptions().device(device));
  } catch (const c10::Error& error) {
    throw DeviceError(fmt::format("device: cuda:{}: {}", index, error.what_without_backtrace()));
  }
}

c10::DeviceIndex torch_index(const Device& device) {
  return static_cast<c10::DeviceIndex>(device.index);
}

}  // namespace

GpuReport find_gpus() {
  GpuReport report;
  report.built = kernels::cuda_built();
  try {
    const VeomniCudaTable& table = kernels::cuda_table();
    const int count = count_gpus(table);
    for (int index = 0; index < count; ++index) report.gpus.push_back(describe(table, index));
  } catch (const Error& error) {
    report.problem = error.what();
  }
  return report;
}

Device open_device(const DeviceRequest& request) {
  require<ConfigError>(request.wanted == "cpu" || request.wanted == "cuda",
                       "train.device: '{}' is not a device; use cpu or cuda", request.wanted);
  if (request.wanted == "cpu") return {};
  const VeomniCudaTable& table = kernels::cuda_table();
  const int index = choose(request, count_gpus(table));
  const GpuInfo gpu = describe(table, index);
  check_capability(gpu, index);
  kernels::load_torch_cuda();
  start_torch(index);
  return {true, index, gpu.name};
}

int64_t peak_device_bytes(const Device& device) {
  if (!device.cuda) return 0;
  const auto stats =
      c10::getDeviceAllocator(c10::DeviceType::CUDA)->getDeviceStats(torch_index(device));
  return stats.allocated_bytes[0].peak;  // 0: all pools together
}

void reset_peak_device_bytes(const Device& device) {
  if (device.cuda) {
    c10::getDeviceAllocator(c10::DeviceType::CUDA)->resetPeakStats(torch_index(device));
  }
}

void synchronize(const Device& device) {
  if (!device.cuda) return;
  try {
    c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA).synchronizeDevice(torch_index(device));
  } catch (const c10::Error& error) {
    throw DeviceError(
        fmt::format("device: cuda:{}: {}", device.index, error.what_without_backtrace()));
  }
}

}  // namespace veomni
