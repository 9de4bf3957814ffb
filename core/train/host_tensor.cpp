#include "core/train/host_tensor.h"

#include <ATen/ATen.h>

#include <cstring>

namespace veomni {
namespace {

template <class T>
at::Tensor copy(const std::vector<T>& values, at::ScalarType dtype) {
  auto tensor = at::empty({static_cast<int64_t>(values.size())}, dtype);
  if (!values.empty())
    std::memcpy(tensor.mutable_data_ptr(), values.data(), values.size() * sizeof(T));
  return tensor;
}

}  // namespace

at::Tensor host_tensor(const std::vector<float>& values) { return copy(values, at::kFloat); }
at::Tensor host_tensor(const std::vector<int32_t>& values) { return copy(values, at::kInt); }
at::Tensor host_tensor(const std::vector<int64_t>& values) { return copy(values, at::kLong); }

}  // namespace veomni
