#pragma once
// Vectors as tensors in host memory.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace veomni {

/// [n] f32, i32 or i64: a copy.
at::Tensor host_tensor(const std::vector<float>& values);
at::Tensor host_tensor(const std::vector<int32_t>& values);
at::Tensor host_tensor(const std::vector<int64_t>& values);

}  // namespace veomni
