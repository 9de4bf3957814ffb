#pragma once
// Scalar building blocks that the compiler turns into vectors. Only for *_loops.cpp: everything
// lives in the namespace of one instruction set, and nothing from std is used, because an inline
// function shared by three instruction sets would be merged into one by the linker.

#include "kernels/cpu/loops.h"

namespace veomni::kernels::VEOMNI_ISA {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

inline float to_float(float value) { return value; }
inline float to_float(Bf16 value) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(value.bits) << 16);
}

inline void store(float* target, float value) { *target = value; }
/// Rounds to nearest, ties to even; NaN stays NaN.
inline void store(Bf16* target, float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  target->bits = static_cast<uint16_t>(value != value ? 0x7fc0u : rounded);
}

/// 2^f · 2^n for |f| ≤ 1/2 by the Taylor series of degree 7 (truncation error 6e-9), n given as a
/// float.
inline float scaled_exponential(float r, float biased) {
  // `biased` is n + 1.5·2^23, whose low bits hold n as an integer.
  const uint32_t scale = (__builtin_bit_cast(uint32_t, biased) + 127u) << 23;
  float p = 1.f / 5040;
  p = p * r + 1.f / 720;
  p = p * r + 1.f / 120;
  p = p * r + 1.f / 24;
  p = p * r + 1.f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.f;
  p = p * r + 1.f;
  return p * __builtin_bit_cast(float, scale);
}

constexpr float kRound = 12582912.f;  // 1.5 · 2^23: adding it rounds to an integer

/// e^x to 2 ulp; below -87.3 it stays at 1e-38 (no denormals), above 88.7 it is infinite, NaN stays
/// NaN.
inline float exponential(float x) {
  x = x < -87.3f ? -87.3f : x;
  x = x > 89.f ? 89.f : x;
  const float biased = x * 1.44269504f + kRound;
  const float n = biased - kRound;
  const float r = (x - n * 0.693145752f) - n * 1.42860677e-6f;  // ln 2 in two parts
  return scaled_exponential(r, biased);
}

/// 2^x for x ≤ 0 to 2 ulp; exactly 0 below -126, so also at -infinity.
inline float exponential2(float x) {
  const float clamped = x < -126.f ? -126.f : x;
  const float biased = clamped + kRound;
  const float r = (clamped - (biased - kRound)) * 0.693147181f;
  const float value = scaled_exponential(r, biased);
  return x < -126.f ? 0.f : value;
}

/// 1 / (1 + e^-x)
inline float sigmoid(float x) { return 1.f / (1.f + exponential(-x)); }

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

}  // namespace veomni::kernels::VEOMNI_ISA
