#include "kernels/cpu/allocator.h"

#include <malloc.h>

namespace veomni::kernels {

void tune_allocator() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the largest value glibc takes on 64-bit machines
  mallopt(M_TRIM_THRESHOLD, 2000 << 20);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // namespace veomni::kernels
