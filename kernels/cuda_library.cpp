#include "kernels/cuda_library.h"

#include <ATen/Context.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>

#include <array>
#include <filesystem>
#include <string>

#include "core/error.h"

namespace veomni::kernels {
namespace {

namespace fs = std::filesystem;

const VeomniCudaTable* emulated_table = nullptr;

/// Where the library that holds `address` was loaded from.
fs::path library_of(const void* address) {
  Dl_info info{};
  require<DeviceError>(dladdr(address, &info) != 0 && info.dli_fname != nullptr,
                       "device: cannot tell where this program's libraries stand");
  std::error_code ignored;
  const fs::path path = fs::weakly_canonical(info.dli_fname, ignored);
  return path.empty() ? fs::path(info.dli_fname) : path;
}

fs::path cuda_path() {
  return library_of(reinterpret_cast<const void*>(&cuda_table)).parent_path() / "libveomni_cuda.so";
}

std::string loader_error() {
  const char* text = dlerror();
  return text != nullptr ? text : "unknown error of the loader";
}

void* load_cuda_library() {
  require<DeviceError>(cuda_built(),
                       "device: this build has no CUDA library; install the CUDA toolkit and build "
                       "again, or set train.device to cpu");
  void* library = dlopen(cuda_path().c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library != nullptr) return library;
  throw DeviceError(
      fmt::format("device: libveomni_cuda.so cannot be loaded: {}; install the CUDA 13 runtime and "
                  "NCCL, or set "
                  "train.device to cpu",
                  loader_error()));
}

void* cuda_library() {
  static void* library = load_cuda_library();  // for as long as the process lives
  return library;
}

/// The wheel that brings a library which libtorch_cuda.so needs.
std::string wheel_of(const std::string& library) {
  struct Wheel {
    const char *library, *name;
  };
  constexpr std::array<Wheel, 15> kWheels = {{{"libcudnn", "nvidia-cudnn-cu13"},
                                              {"libnccl", "nvidia-nccl-cu13"},
                                              {"libnvshmem", "nvidia-nvshmem-cu13"},
                                              {"libcusparseLt", "nvidia-cusparselt-cu13"},
                                              {"libcusparse", "nvidia-cusparse"},
                                              {"libcublas", "nvidia-cublas"},
                                              {"libcufft", "nvidia-cufft"},
                                              {"libcufile", "nvidia-cufile"},
                                              {"libcurand", "nvidia-curand"},
                                              {"libcusolver", "nvidia-cusolver"},
                                              {"libcudart", "nvidia-cuda-runtime"},
                                              {"libcupti", "nvidia-cuda-cupti"},
                                              {"libnvrtc", "nvidia-cuda-nvrtc"},
                                              {"libnvJitLink", "nvidia-nvjitlink"},
                                              {"libnvToolsExt", "nvidia-nvtx"}}};
  for (const Wheel& wheel : kWheels) {
    if (library.rfind(wheel.library, 0) == 0) return wheel.name;
  }
  return "torch==2.11.0 with the packages it requires";
}

void* load_torch() {
  const fs::path torch =
      library_of(reinterpret_cast<const void*>(&at::globalContext)).parent_path();
  void* library = dlopen((torch / "libtorch_cuda.so").c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library != nullptr) return library;
  const std::string error = loader_error(), missing = error.substr(0, error.find(':'));
  const fs::path wheels = torch.parent_path().parent_path();
  throw DeviceError(fmt::format(
      "device: LibTorch's CUDA library cannot be loaded: {}; run pip install --no-deps --target {} "
      "{}, or set train.device to cpu",
      error, wheels.string(), wheel_of(missing)));
}

}  // namespace

bool cuda_built() {
  std::error_code ignored;
  return fs::exists(cuda_path(), ignored);
}

void* cuda_symbol(const char* name) {
  void* found = dlsym(cuda_library(), name);
  require<DeviceError>(found != nullptr, "device: libveomni_cuda.so has no {}; build it again",
                       name);
  return found;
}

void use_emulated_table(const VeomniCudaTable* table) { emulated_table = table; }

bool emulated() { return emulated_table != nullptr; }

const VeomniCudaTable& cuda_table() {
  if (emulated()) return *emulated_table;
  static const VeomniCudaTable* table = [] {
    using Get = const VeomniCudaTable*(int);
    const auto get = reinterpret_cast<Get*>(cuda_symbol("veomni_cuda_table"));
    return get(kVeomniCudaTableVersion);
  }();
  require<DeviceError>(table != nullptr,
                       "device: libveomni_cuda.so is of another version; build it again");
  return *table;
}

void load_torch_cuda() {
  static void* library = load_torch();
  (void)library;
  require<DeviceError>(c10::impl::hasDeviceGuardImpl(c10::DeviceType::CUDA),
                       "device: libtorch_cuda.so registered no device; it must be the one of "
                       "LibTorch 2.11.0 for CUDA 13");
}

}  // namespace veomni::kernels
