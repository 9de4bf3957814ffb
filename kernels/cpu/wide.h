#pragma once
// A vector of elements as f32. Only for *_loops.cpp.

#include "kernels/cpu/tile.h"

namespace veomni::kernels::VEOMNI_ISA {

inline Vec load_wide(const float* p) { return load(p); }
inline Vec load_wide(const Bf16* p) {
  using Half [[gnu::vector_size(kLanes * 2)]] = uint16_t;
  using Wide [[gnu::vector_size(kLanes * 4)]] = uint32_t;
  Half half;
  __builtin_memcpy(&half, p, sizeof(half));
  const Wide wide = __builtin_convertvector(half, Wide) << 16;
  Vec v;
  __builtin_memcpy(&v, &wide, sizeof(v));
  return v;
}

}  // namespace veomni::kernels::VEOMNI_ISA
