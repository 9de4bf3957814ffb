#pragma once
// Where operators that write gradients themselves put them: it saves copying them there. Includes the tensor type only.

#include <ATen/core/Tensor.h>

#include <functional>

namespace veomni::kernels {

/// Memory for the gradient of a parameter, contiguous and shaped like it; undefined: the operator takes memory of its own, and
/// who collects gradients copies or adds. Asked in backward. Given once: asked again for the same gradient it is undefined.
using GradientHome = std::function<at::Tensor(const at::Tensor& parameter)>;

}  // namespace veomni::kernels
