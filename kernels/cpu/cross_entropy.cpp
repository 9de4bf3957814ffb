#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include "kernels/cpu/fused.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/matrix.h"
#include "kernels/cpu/parallel.h"

// T tokens, D model, V vocabulary

namespace veomni::kernels::cpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kChunkLogits = 1 << 21;  // 8 MB of logits at a time

/// What one call works on, in f32.
struct Head {
  at::Tensor hidden, weight, labels, label_weights, losses, correct;
  double scale = 1;
  bool d_hidden_wanted = false, d_weight_wanted = false;
  at::Tensor d_hidden, d_weight;

  int64_t chunk_rows() const {
    return std::max<int64_t>(64, kChunkLogits / std::max<int64_t>(1, weight.size(0)));
  }

  void softmax(const at::Tensor& logits, int64_t begin) {
    CrossEntropyArgs args;
    args.vocabulary = logits.size(1);
    args.logits = logits.data_ptr<float>();
    args.gradient = d_hidden_wanted || d_weight_wanted;
    args.scale = static_cast<float>(scale);
    args.labels = labels.const_data_ptr<int64_t>() + begin;
    args.label_weights =
        label_weights.defined() ? label_weights.const_data_ptr<float>() + begin : nullptr;
    args.losses = losses.mutable_data_ptr<float>() + begin;
    args.correct = correct.defined() ? correct.mutable_data_ptr<uint8_t>() + begin : nullptr;
    for_rows(logits.size(0), 4 * logits.size(1),
             [&](int64_t b, int64_t e) { loops().cross_entropy(args, b, e); });
  }

  void chunk(int64_t begin, int64_t rows) {
    const at::Tensor part = hidden.narrow(0, begin, rows);
    const at::Tensor logits = matrix_product(part, weight.t());
    softmax(logits, begin);
    if (d_hidden_wanted) matrix_product_into(d_hidden.narrow(0, begin, rows), logits, weight);
    if (d_weight_wanted) matrix_product_into(d_weight, logits.t(), part, begin > 0);
  }

  /// scale · Σ loss · weight, summed in f64 in the order of the tokens.
  at::Tensor total() const {
    const float* loss = losses.const_data_ptr<float>();
    const float* weights =
        label_weights.defined() ? label_weights.const_data_ptr<float>() : nullptr;
    double sum = 0;
    for (int64_t t = 0; t < losses.numel(); ++t)
      sum += static_cast<double>(loss[t]) * (weights ? static_cast<double>(weights[t]) : 1.0);
    return at::full({}, sum * scale, at::kFloat);
  }

  at::Tensor run() {
    const int64_t tokens = hidden.size(0);
    if (d_hidden_wanted) d_hidden = at::empty(hidden.sizes(), at::kFloat);
    if (d_weight_wanted) d_weight = at::empty(weight.sizes(), at::kFloat);
    if (d_weight_wanted && tokens == 0) d_weight.zero_();
    for (int64_t t = 0; t < tokens; t += chunk_rows()) chunk(t, std::min(chunk_rows(), tokens - t));
    return total();
  }
};

at::Tensor scaled(const at::Tensor& gradient, const at::Tensor& factor) {
  if (!gradient.defined() || factor.item<float>() == 1.f) return gradient;
  return gradient * factor.to(gradient.scalar_type());
}

struct LinearCrossEntropy : torch::autograd::Function<LinearCrossEntropy> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& hidden, const at::Tensor&,
                            Head* head) {
    const at::Tensor total = head->run();
    const auto back = [&](const at::Tensor& g) {
      return g.defined() ? g.to(hidden.scalar_type()) : g;
    };
    ctx->save_for_backward({back(head->d_hidden), back(head->d_weight)});
    return total;
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    return {scaled(saved[0], gradients[0]), scaled(saved[1], gradients[0]), {}};
  }
};

}  // namespace

at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                                const at::Tensor& labels, const at::Tensor& label_weights,
                                double scale, at::Tensor* losses_out, at::Tensor* correct_out) {
  const int64_t tokens = hidden.size(0);
  Head head;
  head.hidden = hidden.detach().to(at::kFloat);
  head.weight = weight.detach().to(at::kFloat);
  head.labels = labels;
  head.label_weights = label_weights;
  head.losses = at::empty({tokens}, at::kFloat);
  if (correct_out) head.correct = at::empty({tokens}, at::kByte);
  head.scale = scale;
  const bool recording = at::GradMode::is_enabled();
  head.d_hidden_wanted = recording && hidden.requires_grad();
  head.d_weight_wanted = recording && weight.requires_grad();
  const at::Tensor total = LinearCrossEntropy::apply(hidden, weight, &head);
  if (losses_out) *losses_out = head.losses;
  if (correct_out) *correct_out = head.correct;
  return total;
}

}  // namespace veomni::kernels::cpu
