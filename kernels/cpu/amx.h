#pragma once
// The tile unit of Intel's processors, which takes the f32 matrix products over; the other loops are AVX-512's.

#include "kernels/cpu/loops.h"

namespace veomni::kernels::amx {

/// Whether the processor has it and the system lends it. Asks the system once for the whole process.
bool available();

void fill_matrix(Loops& loops);

}  // namespace veomni::kernels::amx
