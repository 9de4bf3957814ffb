#include "parallel/comm/sum.h"

#include <algorithm>
#include <array>

namespace veomni::comm {
namespace {

constexpr int64_t kBlock = 2048;  // the running sum stays in the first-level cache

template <class T>
void sum_typed(T* out, const std::vector<const void*>& parts, int64_t count) {
  std::array<T, kBlock> sum;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t block = std::min(kBlock, count - begin);
    std::copy_n(static_cast<const T*>(parts[0]) + begin, block, sum.data());
    for (size_t part = 1; part < parts.size(); ++part) {
      const T* source = static_cast<const T*>(parts[part]) + begin;
#pragma omp simd
      for (int64_t i = 0; i < block; ++i) sum[i] = static_cast<T>(sum[i] + source[i]);
    }
    std::copy_n(sum.data(), block, out + begin);
  }
}

}  // namespace

void sum_parts(void* out, const std::vector<const void*>& parts, int64_t count,
               at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return sum_typed(static_cast<float*>(out), parts, count);
    case at::kDouble:
      return sum_typed(static_cast<double*>(out), parts, count);
    case at::kInt:
      return sum_typed(static_cast<int32_t*>(out), parts, count);
    case at::kLong:
      return sum_typed(static_cast<int64_t*>(out), parts, count);
    case at::kByte:
      return sum_typed(static_cast<uint8_t*>(out), parts, count);
    default:
      TORCH_CHECK(false, "sum: dtype ", type, " is not summed over ranks");
  }
}

}  // namespace veomni::comm
