#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <vector>

namespace veomni::comm {

/// out[i] = parts[0][i] + parts[1][i] + … in that order; `out` may be one of the parts. f32, f64,
/// i32, i64 or u8.
void sum_parts(void* out, const std::vector<const void*>& parts, int64_t count,
               c10::ScalarType type);

}  // namespace veomni::comm
