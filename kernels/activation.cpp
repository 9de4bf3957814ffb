#include "kernels/activation.h"

#include "kernels/check.h"
#include "kernels/cpu/fused.h"
#include "kernels/cuda_fused.h"
#include "kernels/reference.h"

namespace veomni::kernels {

at::Tensor swiglu(const at::Tensor& gate_up) {
  check_input("swiglu", "gate_up", gate_up);
  TORCH_CHECK(gate_up.dim() == 2 && gate_up.size(1) % 2 == 0 && gate_up.size(1) > 0,
              "swiglu: gate_up has shape ", gate_up.sizes(), ", must have [tokens, 2 * width]");
  switch (backend(gate_up)) {
    case Backend::cpu:
      return cpu::swiglu(gate_up);
    case Backend::cuda:
      return cuda::swiglu(gate_up);
    default:
      return reference::swiglu(gate_up);
  }
}

}  // namespace veomni::kernels
