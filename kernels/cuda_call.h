#pragma once
// How kernels/cuda_*.cpp call the table. Includes LibTorch: for .cpp files only.

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "core/error.h"
#include "kernels/cuda_library.h"

namespace veomni::kernels {

inline int32_t scalar_of(const at::Tensor& x) {
  TORCH_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16,
              "CUDA kernels do f32 and bf16, not ", x.scalar_type());
  return x.scalar_type() == at::kFloat ? kVeomniF32 : kVeomniBf16;
}

inline const void* data_of(const at::Tensor& x) {
  return x.defined() ? x.const_data_ptr() : nullptr;
}

/// An f32 tensor beside `like`.
inline at::Tensor floats(const at::Tensor& like, at::IntArrayRef shape) {
  return at::empty(shape, like.options().dtype(at::kFloat));
}

inline at::Tensor integers(const at::Tensor& like, at::IntArrayRef shape) {
  return at::empty(shape, like.options().dtype(at::kInt));
}

/// Starts one operation on the current stream of the device of `on`, which any tensor of it is. The
/// stream comes from LibTorch's device guard, so neither c10_cuda nor CUDA is linked.
template <class Args>
void start_cuda(const char* name, int (*operation)(const Args*, void*), const Args& args,
                const at::Tensor& on) {
  TORCH_CHECK(on.is_cuda() || emulated(), name, ": the tensors are on ", on.device(),
              ", must be on a GPU");
  const c10::DeviceGuard guard(on.device());
  void* stream = nullptr;
  if (on.is_cuda()) {
    const c10::impl::VirtualGuardImpl streams(c10::DeviceType::CUDA);
    stream = streams.getStream(on.device()).native_handle();
  }
  const int code = operation(&args, stream);
  require<DeviceError>(code == 0, "device: {} on {}: {}", name, on.device().str(),
                       cuda_table().error_text(code));
}

}  // namespace veomni::kernels
