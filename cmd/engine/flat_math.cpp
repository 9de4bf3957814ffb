#include "cmd/engine/flat_math.h"

#include <ATen/core/Tensor.h>

#include "kernels/optimizer.h"

namespace veomni {

FlatMath flat_math() {
  return {[](at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& exp_avg,
             at::Tensor& exp_avg_sq, const AdamWStep& s) {
            kernels::adamw_(
                parameter, gradient, exp_avg, exp_avg_sq,
                {s.lr, s.beta1, s.beta2, s.eps, s.weight_decay, s.step, s.gradient_scale});
          },
          [](const at::Tensor& x) { return kernels::sum_of_squares(x); }};
}

}  // namespace veomni
