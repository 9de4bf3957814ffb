#pragma once
// The libraries that only a GPU needs, loaded when one is asked for: ours (kernels and NCCL) and
// LibTorch's.

#include "kernels/cuda_table.h"

namespace veomni::kernels {

/// True when this build made libveomni_cuda.so (it stands next to libveomni_engine.so).
bool cuda_built();

/// The kernels; loads libveomni_cuda.so at the first call. Throws DeviceError: not built, a library
/// that it needs is missing, or another version.
const VeomniCudaTable& cuda_table();

/// For tests: takes `table` instead, whose kernels are compiled for the host, so that operations
/// take CPU tensors (see test/cuda/emulated). Null: back to the library.
void use_emulated_table(const VeomniCudaTable* table);
bool emulated();

/// A function of the same library, for other tables than this one. Throws DeviceError.
void* cuda_symbol(const char* name);

/// Loads libtorch_cuda.so from beside libtorch_cpu.so, so that tensors can be on a GPU. Throws
/// DeviceError naming what is missing and the wheel that has it.
///
/// Has to come before anything asks LibTorch about CUDA: its static initialisers register the
/// operators, the device guard, the allocator and the CUDA hooks, but at::Context looks the hooks
/// up once and keeps what it found (tried: after one at::hasCUDA() it says "Cannot initialize CUDA
/// without ATen_cuda library" for good). Likewise the autograd engine counts devices at the first
/// backward. RTLD_GLOBAL, as LibTorch's libraries find each other's symbols by name.
void load_torch_cuda();

}  // namespace veomni::kernels
