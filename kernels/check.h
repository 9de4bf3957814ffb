#pragma once
// Checks of shapes and types that every kernel makes before it touches memory. Includes LibTorch:
// for .cpp files only.

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

namespace veomni::kernels {

/// f32, bf16 or f64 (which runs the composed reference), contiguous.
inline void check_input(const char* where, const char* name, const at::Tensor& x) {
  TORCH_CHECK(x.defined(), where, ": ", name, " is undefined");
  const auto type = x.scalar_type();
  TORCH_CHECK(type == at::kFloat || type == at::kBFloat16 || type == at::kDouble, where, ": ", name,
              " is ", type, ", must be f32, bf16 or f64");
  TORCH_CHECK(x.is_contiguous(), where, ": ", name, " must be contiguous");
}

/// As check_input, and of the type and device of `like`.
inline void check_same(const char* where, const char* name, const at::Tensor& x,
                       const at::Tensor& like) {
  check_input(where, name, x);
  TORCH_CHECK(x.scalar_type() == like.scalar_type() && x.device() == like.device(), where, ": ",
              name, " is ", x.scalar_type(), " on ", x.device(), ", must be ", like.scalar_type(),
              " on ", like.device());
}

inline void check_shape(const char* where, const char* name, const at::Tensor& x,
                        at::IntArrayRef shape) {
  TORCH_CHECK(x.sizes() == shape, where, ": ", name, " has shape ", x.sizes(), ", must have ",
              shape);
}

/// An i64 tensor of the given shape, contiguous, on the device of `like`.
inline void check_ids(const char* where, const char* name, const at::Tensor& ids,
                      at::IntArrayRef shape, const at::Tensor& like) {
  TORCH_CHECK(ids.defined() && ids.scalar_type() == at::kLong && ids.is_contiguous(), where, ": ",
              name, " must be a contiguous i64 tensor");
  TORCH_CHECK(ids.device() == like.device(), where, ": ", name, " is on ", ids.device(),
              ", must be on ", like.device());
  check_shape(where, name, ids, shape);
}

/// Which kernels take this tensor: the fused ones of the CPU or of CUDA for f32 and bf16; everything
/// else runs the composed reference (kernels/reference.h).
enum class Backend { cpu, cuda, reference };
inline Backend backend(const at::Tensor& x) {
  if (x.scalar_type() != at::kFloat && x.scalar_type() != at::kBFloat16) return Backend::reference;
  if (x.is_cpu()) return Backend::cpu;
  return x.is_cuda() ? Backend::cuda : Backend::reference;
}

}  // namespace veomni::kernels
