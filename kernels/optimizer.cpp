#include "kernels/optimizer.h"

#include <torch/types.h>

#include <cmath>
#include <vector>

#include "kernels/check.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cuda_ops.h"

// n elements of a flat shard

namespace veomni::kernels {
namespace {

constexpr int64_t kSumBlock = 16384;

void check_flat(const char* where, const char* name, const at::Tensor& x) {
  check_input(where, name, x);
  TORCH_CHECK(x.scalar_type() == at::kFloat, where, ": ", name, " is ", x.scalar_type(),
              ", must be f32");
}

/// Composed of ATen operators: devices without a fused pass.
void adamw_reference(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& exp_avg,
                     at::Tensor& exp_avg_sq, const AdamW& s) {
  const double step = static_cast<double>(s.step);
  const double correction1 = 1 - std::pow(s.beta1, step), correction2 = 1 - std::pow(s.beta2, step);
  const at::Tensor g = gradient * s.gradient_scale;
  parameter.mul_(1 - s.lr * s.weight_decay);
  exp_avg.lerp_(g, 1 - s.beta1);
  exp_avg_sq.mul_(s.beta2).addcmul_(g, g, 1 - s.beta2);
  const at::Tensor denominator = (exp_avg_sq.sqrt() / std::sqrt(correction2)).add_(s.eps);
  parameter.addcdiv_(exp_avg, denominator, -s.lr / correction1);
}

AdamWArgs make_args(const AdamW& s) {
  const double step = static_cast<double>(s.step);
  AdamWArgs args;
  args.decay = static_cast<float>(1 - s.lr * s.weight_decay);
  args.beta1 = static_cast<float>(s.beta1);
  args.beta2 = static_cast<float>(s.beta2);
  args.eps = static_cast<float>(s.eps);
  args.gradient_scale = static_cast<float>(s.gradient_scale);
  args.step_size = static_cast<float>(s.lr / (1 - std::pow(s.beta1, step)));
  args.root_factor = static_cast<float>(1 / std::sqrt(1 - std::pow(s.beta2, step)));
  return args;
}

}  // namespace

void adamw_(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& exp_avg,
            at::Tensor& exp_avg_sq, const AdamW& settings) {
  const at::NoGradGuard no_grad;
  check_flat("adamw_", "parameter", parameter);
  for (const at::Tensor* x : {&gradient, &std::as_const(exp_avg), &std::as_const(exp_avg_sq)}) {
    check_flat("adamw_", "gradient or state", *x);
    TORCH_CHECK(x->numel() == parameter.numel() && x->device() == parameter.device(),
                "adamw_: gradient or state has ", x->numel(), " elements on ", x->device(),
                ", must have ", parameter.numel(), " on ", parameter.device());
  }
  TORCH_CHECK(settings.step >= 1, "adamw_: step is ", settings.step,
              ", the first update is step 1");
  if (parameter.is_cuda()) return adamw_cuda_(parameter, gradient, exp_avg, exp_avg_sq, settings);
  if (!parameter.is_cpu())
    return adamw_reference(parameter, gradient, exp_avg, exp_avg_sq, settings);
  AdamWArgs args = make_args(settings);
  args.parameter = parameter.mutable_data_ptr<float>();
  args.gradient = gradient.const_data_ptr<float>();
  args.exp_avg = exp_avg.mutable_data_ptr<float>();
  args.exp_avg_sq = exp_avg_sq.mutable_data_ptr<float>();
  at::parallel_for(0, parameter.numel(), 16384,
                   [&](int64_t b, int64_t e) { loops().adamw(args, b, e); });
}

double sum_of_squares(const at::Tensor& x) {
  check_flat("sum_of_squares", "x", x);
  if (x.is_cuda()) return sum_of_squares_cuda(x);
  if (!x.is_cpu()) return x.detach().to(at::kDouble).square().sum().item<double>();
  const int64_t blocks = (x.numel() + kSumBlock - 1) / kSumBlock;
  std::vector<double> sums(static_cast<size_t>(blocks));
  const float* data = x.const_data_ptr<float>();
  at::parallel_for(0, blocks, 2, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      sums[static_cast<size_t>(b)] = loops().sum_of_squares(
          data + b * kSumBlock, std::min(kSumBlock, x.numel() - b * kSumBlock));
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace veomni::kernels
