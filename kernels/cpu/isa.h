#pragma once
// Which instruction set the CPU kernels run on: the best this machine has, or the one VEOMNI_ISA
// names.

#include <string>
#include <string_view>
#include <vector>

#include "kernels/cpu/loops.h"

namespace veomni::kernels {

/// The loops of the chosen instruction set. Throws DeviceError when VEOMNI_ISA names an unknown or
/// unsupported one.
const Loops& loops();

/// "sse2", "avx2", "avx512" or "amx" (AVX-512 with matrix products on the tile unit): what loops() runs on.
std::string isa_name();

/// What this machine can run, slowest first.
std::vector<std::string> available_isas();

/// Switches the whole process (tests, comparisons). Throws DeviceError like loops().
void use_isa(std::string_view name);

}  // namespace veomni::kernels
