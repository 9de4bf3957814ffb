// One pass of AdamW, and sums of squares.
#include "kernels/cpu/vector.h"

namespace veomni::kernels::VEOMNI_ISA {
namespace {

void adamw(const AdamWArgs& args, int64_t begin, int64_t end) {
  float *parameter = args.parameter, *exp_avg = args.exp_avg, *exp_avg_sq = args.exp_avg_sq;
  const float* gradient = args.gradient;
  const AdamWArgs s = args;
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const float g = gradient[i] * s.gradient_scale;
    const float m = exp_avg[i] + (1.f - s.beta1) * (g - exp_avg[i]);
    const float v = s.beta2 * exp_avg_sq[i] + (1.f - s.beta2) * g * g;
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    const float denominator = __builtin_sqrtf(v) * s.root_factor + s.eps;
    parameter[i] = parameter[i] * s.decay - s.step_size * m / denominator;
  }
}

/// Eight partial sums in f64 whatever the instruction set: the same bits everywhere.
double sum_of_squares(const float* x, int64_t count) {
  double lanes[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int lane = 0; lane < 8; ++lane) {
      const double value = x[i + lane];
      lanes[lane] += value * value;
    }
  for (; i < count; ++i) lanes[i % 8] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
         ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

}  // namespace

void fill_optimizer(Loops& loops) {
  loops.adamw = adamw;
  loops.sum_of_squares = sum_of_squares;
}

}  // namespace veomni::kernels::VEOMNI_ISA
