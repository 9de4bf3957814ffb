#pragma once
// What communicators of host memory share: bytes of tensors, staging of what they cannot work on, delivery of results.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace veomni::comm {

inline char* bytes_of(const at::Tensor& tensor) {
  return static_cast<char*>(tensor.mutable_data_ptr());
}

/// The same memory without autograd's bookkeeping: collectives write raw memory.
inline at::Tensor plain(const at::Tensor& tensor) { return tensor.variable_data(); }

/// Host memory, and f32 where bf16 is summed.
at::Tensor staged(const at::Tensor& tensor, bool sums);

/// Where a result in host memory is made: in `out` itself if it lies there and has `like`'s type.
at::Tensor place_for(const at::Tensor& out, const at::Tensor& like);

inline std::vector<int64_t> starts_of(const std::vector<int64_t>& counts) {
  std::vector<int64_t> starts(counts.size(), 0);
  for (size_t i = 1; i < counts.size(); ++i) starts[i] = starts[i - 1] + counts[i - 1];
  return starts;
}

/// A result that goes to `out` at the end, unless it was made there.
class Delivery {
 public:
  void set(const at::Tensor& out, const at::Tensor& from);
  void deliver();

 private:
  at::Tensor target_, result_;
};

}  // namespace veomni::comm
