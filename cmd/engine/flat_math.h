#pragma once

#include "core/train/update.h"

namespace veomni {

/// The kernels of kernels/optimizer.h, as the optimizer wants them.
FlatMath flat_math();

}  // namespace veomni
