#pragma once

#include <cstdint>

namespace at {
class Tensor;
}

namespace veomni::kernels {

struct AdamW {
  double lr = 0, beta1 = 0, beta2 = 0, eps = 0, weight_decay = 0;
  int64_t step = 1;           ///< 1 for the first update: bias correction
  double gradient_scale = 1;  ///< gradients are multiplied by it first (clipping)
};

/// One pass of AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101; PyTorch's order of operations)
/// over flat f32 tensors [n] of equal size; parameter, exp_avg and exp_avg_sq are updated in place,
/// gradient is only read.
void adamw_(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& exp_avg,
            at::Tensor& exp_avg_sq, const AdamW& settings);

/// Σ x² of an f32 tensor, accumulated in f64 in an order that does not depend on the number of
/// threads.
double sum_of_squares(const at::Tensor& x);

}  // namespace veomni::kernels
