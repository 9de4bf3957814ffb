#pragma once
// The arithmetic of an update, given to the optimizer by who assembles the program: core knows no kernels.

#include <cstdint>
#include <functional>

namespace at {
class Tensor;
}

namespace veomni {

/// One step of AdamW; fields as in kernels/optimizer.h.
struct AdamWStep {
  double lr = 0, beta1 = 0, beta2 = 0, eps = 0, weight_decay = 0;
  int64_t step = 1;
  double gradient_scale = 1;
};

struct FlatMath {
  /// parameter, gradient, exp_avg, exp_avg_sq: f32, equal size; all but the gradient are updated in place.
  std::function<void(at::Tensor&, const at::Tensor&, at::Tensor&, at::Tensor&, const AdamWStep&)>
      adamw;
  /// Σ x² in f64, in a fixed order.
  std::function<double(const at::Tensor&)> sum_of_squares;
};

}  // namespace veomni
