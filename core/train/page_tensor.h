#pragma once
// Memory for what a rank keeps of the model: parameters, gradients, the optimizer's state.

#include <cstdint>

namespace at {
class Tensor;
}

namespace veomni {

/// [count] f32 zeros on the CPU, straight from the system: memory is taken page by page when it is first written, so
/// what nobody needs (gradients in an evaluation) costs none. Large ones ask for huge pages: a page of 2 MiB is taken
/// at once.
at::Tensor page_tensor(int64_t count);

/// As at::zeros_like of a 1-D f32 tensor; on the CPU a page_tensor.
at::Tensor zeros_of_size(const at::Tensor& tensor);

}  // namespace veomni
