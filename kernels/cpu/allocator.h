#pragma once

namespace veomni::kernels {

/// Tells the C library to keep freed memory instead of returning it to the system: training
/// allocates the same sizes every step, and the page faults of fresh memory cost more than the work
/// on it. Once, before the first large allocation. Without effect where malloc is not glibc's.
void tune_allocator();

}  // namespace veomni::kernels
