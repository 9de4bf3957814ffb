#pragma once

#include <cstdint>

namespace veomni::kernels {

/// This thread's scratch memory of at least `count` floats, 64-byte aligned; valid until the thread
/// asks again.
float* thread_scratch(int64_t count);

}  // namespace veomni::kernels
