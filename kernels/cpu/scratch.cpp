#include "kernels/cpu/scratch.h"

#include <cstdlib>
#include <memory>
#include <new>

namespace veomni::kernels {

float* thread_scratch(int64_t count) {
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  thread_local std::unique_ptr<float, Free> memory;
  thread_local int64_t capacity = 0;
  if (count > capacity) {
    const auto bytes = (static_cast<size_t>(count) * sizeof(float) + 63) / 64 * 64;
    memory.reset();
    capacity = 0;
    memory.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
    if (!memory) throw std::bad_alloc();
    capacity = count;
  }
  return memory.get();
}

}  // namespace veomni::kernels
