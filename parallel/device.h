#pragma once
// Which device this process computes on. On the GPU path this is the first thing the engine does
// with LibTorch.

#include <cstdint>
#include <string>
#include <vector>

namespace veomni {

struct GpuInfo {
  std::string name;
  int major = 0, minor = 0;  ///< compute capability
  int64_t memory_bytes = 0, free_bytes = 0;
};

/// What there is, for `veomni doctor`.
struct GpuReport {
  bool built = false;         ///< libveomni_cuda.so belongs to this build
  std::vector<GpuInfo> gpus;  ///< empty without a driver or GPU
  std::string problem;        ///< one line, empty when GPUs can be used
};

/// Looks for GPUs; touches no GPU memory, loads nothing of LibTorch. Never throws.
GpuReport find_gpus();

struct DeviceRequest {
  std::string wanted = "cpu";  ///< cpu | cuda
  int local_rank = 0;          ///< among the ranks of this machine
  int local_ranks = 1;
  bool share = false;  ///< several ranks may use one GPU (not with NCCL)
};

struct Device {
  bool cuda = false;
  int index = 0;
  std::string name = "cpu";
};

/// Chooses this rank's device and makes it LibTorch's current one. `cuda` loads libveomni_cuda.so
/// and libtorch_cuda.so and makes the context, so that everything that can be wrong is wrong here.
/// Has to come before anything else asks LibTorch about CUDA, before the first backward, and once
/// in each rank thread. Throws ConfigError for another word than cpu or cuda, DeviceError for what
/// is missing, with what to install.
Device open_device(const DeviceRequest& request);

/// Most bytes that tensors have held on the device at once, and forgetting it; 0 on the CPU.
int64_t peak_device_bytes(const Device& device);
void reset_peak_device_bytes(const Device& device);

/// Waits for everything started on the device; throws DeviceError with the fault of a kernel.
void synchronize(const Device& device);

}  // namespace veomni
