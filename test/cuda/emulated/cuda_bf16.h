#pragma once
// bfloat16 on the host: the upper half of an f32, rounded to nearest even.

#include <cmath>
#include <cstdint>
#include <cstring>

struct __nv_bfloat16 {
  uint16_t bits;
};

inline float __bfloat162float(__nv_bfloat16 value) {
  const uint32_t wide = static_cast<uint32_t>(value.bits) << 16;
  float out;
  std::memcpy(&out, &wide, sizeof out);
  return out;
}

inline __nv_bfloat16 __float2bfloat16(float value) {
  uint32_t wide;
  std::memcpy(&wide, &value, sizeof wide);
  if (std::isnan(value)) return {0x7fff};
  wide += 0x7fff + ((wide >> 16) & 1);
  return {static_cast<uint16_t>(wide >> 16)};
}
