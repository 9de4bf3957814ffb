#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include "kernels/cpu/fused.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"

// T tokens, D model

namespace veomni::kernels::cpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

NormArgs make_args(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& rstd) {
  NormArgs args;
  args.scalar = scalar_of(x);
  args.dim = x.size(1);
  args.x = x.const_data_ptr();
  args.weight = weight.const_data_ptr();
  args.rstd = rstd.data_ptr<float>();
  return args;
}

/// The weight's gradient is summed in blocks of tokens that do not depend on the number of threads.
std::pair<at::Tensor, at::Tensor> norm_backward(const variable_list& saved, const at::Tensor& d_y,
                                                const at::Tensor& d_sum) {
  const at::Tensor &x = saved[0], &weight = saved[1];
  const int64_t tokens = x.size(0), dim = x.size(1);
  const int64_t block = std::max<int64_t>(64, (tokens + 63) / 64),
                blocks = (tokens + block - 1) / block;
  const at::Tensor shares = at::zeros({blocks, dim}, at::kFloat);
  const at::Tensor d_x = at::empty(x.sizes(), x.options());
  NormArgs args = make_args(x, weight, saved[2]);
  args.d_y = d_y.const_data_ptr();
  args.d_sum = d_sum.defined() ? d_sum.const_data_ptr() : nullptr;
  args.d_x = d_x.mutable_data_ptr();
  float* share = shares.mutable_data_ptr<float>();
  for_rows(blocks, block * dim, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      loops().norm_backward(args, b * block, std::min(tokens, (b + 1) * block), share + b * dim);
  });
  const at::Tensor d_weight = blocks == 1 ? shares[0] : shares.sum(0);
  return {d_x, d_weight.to(weight.scalar_type())};
}

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            double epsilon) {
    const at::Tensor y = at::empty(x.sizes(), x.options()),
                     rstd = at::empty({x.size(0)}, at::kFloat);
    NormArgs args = make_args(x, weight, rstd);
    args.epsilon = static_cast<float>(epsilon);
    args.y = y.mutable_data_ptr();
    for_rows(x.size(0), x.size(1),
             [&](int64_t begin, int64_t end) { loops().norm_forward(args, begin, end); });
    ctx->save_for_backward({x, weight, rstd});
    return y;
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    auto [d_x, d_weight] = norm_backward(ctx->get_saved_variables(), gradients[0].contiguous(), {});
    return {d_x, d_weight, {}};
  }
};

struct AddRmsNorm : torch::autograd::Function<AddRmsNorm> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x,
                               const at::Tensor& residual, const at::Tensor& weight,
                               double epsilon) {
    const at::Tensor sum = at::empty(x.sizes(), x.options()), y = at::empty(x.sizes(), x.options());
    const at::Tensor rstd = at::empty({x.size(0)}, at::kFloat);
    NormArgs args = make_args(x, weight, rstd);
    args.epsilon = static_cast<float>(epsilon);
    args.residual = residual.const_data_ptr();
    args.sum = sum.mutable_data_ptr();
    args.y = y.mutable_data_ptr();
    for_rows(x.size(0), x.size(1),
             [&](int64_t begin, int64_t end) { loops().norm_forward(args, begin, end); });
    ctx->save_for_backward({sum, weight, rstd});
    ctx->set_materialize_grads(false);
    return {sum, y};
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    if (!gradients[1].defined()) return {gradients[0], gradients[0], {}, {}};
    const at::Tensor d_sum = gradients[0].defined() ? gradients[0].contiguous() : at::Tensor();
    auto [d_x, d_weight] =
        norm_backward(ctx->get_saved_variables(), gradients[1].contiguous(), d_sum);
    return {d_x, d_x, d_weight, {}};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  return RmsNorm::apply(x, weight, epsilon);
}

std::pair<at::Tensor, at::Tensor> add_rms_norm(const at::Tensor& x, const at::Tensor& residual,
                                               const at::Tensor& weight, double epsilon) {
  const variable_list results = AddRmsNorm::apply(x, residual, weight, epsilon);
  return {results[0], results[1]};
}

}  // namespace veomni::kernels::cpu
