#pragma once
// 16-bit floating point numbers of weight files.

#include <cstdint>

namespace veomni {

float bf16_to_float(uint16_t bits);
float half_to_float(uint16_t bits);  ///< IEEE 754 binary16
/// To the nearest, ties to even; NaN stays NaN. Beyond the range of binary16: infinity.
uint16_t float_to_bf16(float value);
uint16_t float_to_half(float value);

}  // namespace veomni
