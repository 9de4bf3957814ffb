#include "core/train/page_tensor.h"

#include <ATen/ATen.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace veomni {

at::Tensor page_tensor(int64_t count) {
  constexpr int64_t kFewBytes = int64_t{1} << 20;  // the allocator of LibTorch does as well
  const int64_t bytes = count * static_cast<int64_t>(sizeof(float));
  if (bytes < kFewBytes) return at::zeros({count}, at::kFloat);
  const auto length = static_cast<size_t>(bytes);
  void* data = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  require<Error>(data != MAP_FAILED, "memory: cannot get {} bytes for parameters: {}", bytes,
                 std::strerror(errno));
  // Only whole pages of this tensor: one that reached over its end would take memory of its neighbour's.
  constexpr uintptr_t kHuge = uintptr_t{2} << 20;
  const auto first = (reinterpret_cast<uintptr_t>(data) + kHuge - 1) / kHuge * kHuge;
  const auto last = (reinterpret_cast<uintptr_t>(data) + length) / kHuge * kHuge;
  if (first < last)  // a wish: kernels without huge pages say no
    (void)::madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
  return at::from_blob(
      data, {count}, [length](void* place) { ::munmap(place, length); }, at::kFloat);
}

at::Tensor zeros_of_size(const at::Tensor& tensor) {
  return tensor.is_cpu() ? page_tensor(tensor.numel()) : at::zeros_like(tensor);
}

}  // namespace veomni
