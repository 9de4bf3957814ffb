// Norm, activation, cross-entropy, optimizer and embedding on CUDA tensors.
#include "kernels/cuda_ops.h"

#include <algorithm>
#include <cmath>

#include "kernels/cuda_call.h"

namespace veomni::kernels {

RmsNormCuda rms_norm_forward_cuda(const at::Tensor& x, const at::Tensor& residual,
                                  const at::Tensor& weight, double epsilon) {
  RmsNormCuda result{at::empty_like(x), floats(x, {x.size(0)}), x};
  if (residual.defined()) result.sum = at::empty_like(x);
  VeomniRmsNorm args{};
  args.x = x.const_data_ptr();
  args.residual = data_of(residual);
  args.weight = weight.const_data_ptr();
  args.sum = residual.defined() ? result.sum.data_ptr() : nullptr;
  args.y = result.y.data_ptr();
  args.rstd = result.rstd.data_ptr<float>();
  args.tokens = x.size(0);
  args.dim = x.size(1);
  args.epsilon = static_cast<float>(epsilon);
  args.scalar = scalar_of(x);
  start_cuda("rms_norm", cuda_table().rms_norm, args, x);
  return result;
}

RmsNormGradCuda rms_norm_backward_cuda(const at::Tensor& grad_y, const at::Tensor& grad_sum,
                                       const RmsNormCuda& saved, const at::Tensor& weight) {
  const int64_t tokens = grad_y.size(0), dim = grad_y.size(1);
  RmsNormGradCuda grad{at::empty_like(grad_y), at::empty_like(weight)};
  const at::Tensor partial = floats(grad_y, {veomni_partial_rows(tokens), dim});
  VeomniRmsNormBackward args{};
  args.grad_y = grad_y.const_data_ptr();
  args.grad_sum = data_of(grad_sum);
  args.s = saved.sum.const_data_ptr();
  args.weight = weight.const_data_ptr();
  args.rstd = saved.rstd.const_data_ptr<float>();
  args.grad_x = grad.x.data_ptr();
  args.grad_weight = grad.weight.data_ptr();
  args.partial = partial.data_ptr<float>();
  args.tokens = tokens;
  args.dim = dim;
  args.scalar = scalar_of(grad_y);
  start_cuda("rms_norm_backward", cuda_table().rms_norm_backward, args, grad_y);
  return grad;
}

namespace {

VeomniSwiglu swiglu_args(const at::Tensor& gate_up) {
  VeomniSwiglu args{};
  args.gate_up = gate_up.const_data_ptr();
  args.tokens = gate_up.size(0);
  args.width = gate_up.size(1) / 2;
  args.scalar = scalar_of(gate_up);
  return args;
}

}  // namespace

at::Tensor swiglu_forward_cuda(const at::Tensor& gate_up) {
  at::Tensor out = at::empty({gate_up.size(0), gate_up.size(1) / 2}, gate_up.options());
  VeomniSwiglu args = swiglu_args(gate_up);
  args.out = out.data_ptr();
  start_cuda("swiglu", cuda_table().swiglu, args, gate_up);
  return out;
}

at::Tensor swiglu_backward_cuda(const at::Tensor& grad_out, const at::Tensor& gate_up) {
  at::Tensor grad = at::empty_like(gate_up);
  VeomniSwiglu args = swiglu_args(gate_up);
  args.grad_out = grad_out.const_data_ptr();
  args.grad_gate_up = grad.data_ptr();
  start_cuda("swiglu_backward", cuda_table().swiglu_backward, args, gate_up);
  return grad;
}

namespace {

/// Tokens whose logits exist at once: at most 2^26 numbers, 256 MiB in f32.
int64_t chunk_tokens(int64_t vocabulary) {
  return std::max<int64_t>(1, (int64_t{1} << 26) / std::max<int64_t>(1, vocabulary));
}

/// Losses and, over the logits, gradients of tokens first … first + logits.size(0) − 1.
void cross_entropy_chunk(const CrossEntropyInputCuda& in, CrossEntropyCuda& out, at::Tensor& logits,
                         int64_t first, const at::Tensor& bad_label) {
  VeomniCrossEntropy args{};
  args.logits = logits.data_ptr();
  args.labels = in.labels.const_data_ptr<int64_t>() + first;
  if (in.label_weights.defined()) {
    args.label_weights = in.label_weights.const_data_ptr<float>() + first;
  }
  args.losses = out.losses.data_ptr<float>() + first;
  args.correct = out.correct.data_ptr<uint8_t>() + first;
  args.bad_label = bad_label.data_ptr<int32_t>();
  args.tokens = logits.size(0);
  args.vocabulary = logits.size(1);
  args.scale = static_cast<float>(in.scale);
  args.gradient = in.gradient ? 1 : 0;
  args.scalar = scalar_of(logits);
  start_cuda("cross_entropy", cuda_table().cross_entropy, args, logits);
}

}  // namespace

CrossEntropyCuda linear_cross_entropy_cuda(const CrossEntropyInputCuda& in) {
  const int64_t tokens = in.hidden.size(0), vocabulary = in.weight.size(0);
  CrossEntropyCuda out;
  out.losses = floats(in.hidden, {tokens});
  out.correct = at::empty({tokens}, in.hidden.options().dtype(at::kByte));
  const at::Tensor bad_label = integers(in.hidden, {1}).zero_();
  at::Tensor grad_weight;
  if (in.gradient) {
    out.grad_hidden = at::empty_like(in.hidden);
    grad_weight = floats(in.weight, in.weight.sizes()).zero_();
  }
  const int64_t step = chunk_tokens(vocabulary);
  for (int64_t first = 0; first < tokens; first += step) {
    const int64_t count = std::min(step, tokens - first);
    const at::Tensor hidden = in.hidden.narrow(0, first, count);
    at::Tensor logits = at::mm(hidden, in.weight.t());
    cross_entropy_chunk(in, out, logits, first, bad_label);
    if (!in.gradient) continue;
    at::Tensor grad_hidden = out.grad_hidden.narrow(0, first, count);
    at::mm_out(grad_hidden, logits, in.weight);
    grad_weight.add_(at::mm(logits.t(), hidden));
  }
  TORCH_CHECK(bad_label.item<int32_t>() == 0,
              "linear_cross_entropy: a label is neither -100 nor below the vocabulary of ",
              vocabulary);
  if (in.gradient) out.grad_weight = grad_weight.to(in.weight.scalar_type());
  const at::Tensor weighted =
      in.label_weights.defined() ? out.losses * in.label_weights : out.losses;
  out.scaled = weighted.sum() * in.scale;
  return out;
}

void adamw_cuda_(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& exp_avg,
                 at::Tensor& exp_avg_sq, const AdamW& s) {
  const auto f = [](double x) { return static_cast<float>(x); };
  const double step = static_cast<double>(s.step);
  VeomniAdamW args{};
  args.parameter = parameter.data_ptr<float>();
  args.gradient = gradient.const_data_ptr<float>();
  args.exp_avg = exp_avg.data_ptr<float>();
  args.exp_avg_sq = exp_avg_sq.data_ptr<float>();
  args.count = parameter.numel();
  args.gradient_scale = f(s.gradient_scale);
  args.decay = f(1 - s.lr * s.weight_decay);
  args.rest1 = f(1 - s.beta1);
  args.beta2 = f(s.beta2);
  args.rest2 = f(1 - s.beta2);
  args.step_size = f(s.lr / (1 - std::pow(s.beta1, step)));
  args.root_correction = f(std::sqrt(1 - std::pow(s.beta2, step)));
  args.eps = f(s.eps);
  start_cuda("adamw", cuda_table().adamw, args, parameter);
}

double sum_of_squares_cuda(const at::Tensor& x) {
  const auto options = x.options().dtype(at::kDouble);
  const at::Tensor partial = at::empty({kVeomniSquarePartials}, options);
  const at::Tensor sum = at::empty({1}, options);
  const VeomniSumOfSquares args{x.const_data_ptr<float>(), partial.data_ptr<double>(),
                                sum.data_ptr<double>(), x.numel()};
  start_cuda("sum_of_squares", cuda_table().sum_of_squares, args, x);
  return sum.item<double>();
}

at::Tensor embedding_forward_cuda(const at::Tensor& weight, const at::Tensor& ids) {
  at::Tensor out = at::empty({ids.numel(), weight.size(1)}, weight.options());
  const at::Tensor bad_id = integers(weight, {1}).zero_();
  VeomniEmbedding args{};
  args.weight = weight.const_data_ptr();
  args.ids = ids.const_data_ptr<int64_t>();
  args.out = out.data_ptr();
  args.bad_id = bad_id.data_ptr<int32_t>();
  args.count = ids.numel();
  args.dim = weight.size(1);
  args.vocabulary = weight.size(0);
  args.scalar = scalar_of(weight);
  start_cuda("embedding", cuda_table().embedding, args, weight);
  TORCH_CHECK(bad_id.item<int32_t>() == 0, "embedding: an id is outside the ", weight.size(0),
              " rows");
  return out;
}

namespace {

/// Sums grad_out over equal ids into `grad`, whose row for sorted id i is rows[i], or the id
/// without rows.
void embedding_sums(const at::Tensor& grad_out, const at::Tensor& sorted, const at::Tensor& order,
                    const at::Tensor& rows, const at::Tensor& grad) {
  VeomniEmbedding args{};
  args.ids = sorted.const_data_ptr<int64_t>();
  args.grad_out = grad_out.const_data_ptr();
  args.order = order.const_data_ptr<int64_t>();
  args.rows = static_cast<const int64_t*>(data_of(rows));
  args.grad = grad.data_ptr<float>();
  args.count = sorted.numel();
  args.dim = grad_out.size(1);
  args.scalar = scalar_of(grad_out);
  start_cuda("embedding_backward", cuda_table().embedding_backward, args, grad_out);
}

}  // namespace

at::Tensor embedding_backward_cuda(const at::Tensor& grad_out, const at::Tensor& ids,
                                   int64_t vocabulary) {
  const auto [sorted, order] = at::sort(ids, /*stable=*/true, /*dim=*/0, /*descending=*/false);
  const at::Tensor grad = floats(grad_out, {vocabulary, grad_out.size(1)}).zero_();
  embedding_sums(grad_out, sorted, order, {}, grad);
  return grad.to(grad_out.scalar_type());
}

TouchedRowsCuda embedding_touched_cuda(const at::Tensor& grad_out, const at::Tensor& ids) {
  const auto [sorted, order] = at::sort(ids, /*stable=*/true, /*dim=*/0, /*descending=*/false);
  const auto [touched, rows, counts] = at::unique_consecutive(sorted, /*return_inverse=*/true);
  const at::Tensor grad = floats(grad_out, {touched.numel(), grad_out.size(1)});
  embedding_sums(grad_out, sorted, order, rows, grad);
  return {touched, grad};
}

}  // namespace veomni::kernels
