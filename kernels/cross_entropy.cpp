#include "kernels/cross_entropy.h"

#include "kernels/check.h"
#include "kernels/cpu/fused.h"
#include "kernels/cuda_fused.h"
#include "kernels/reference.h"

namespace veomni::kernels {
namespace {

constexpr const char* kWhere = "linear_cross_entropy";

/// Only labels in host memory can be looked at without waiting for a device.
void check_labels(const at::Tensor& labels, int64_t vocabulary) {
  if (!labels.is_cpu()) return;
  const int64_t* label = labels.const_data_ptr<int64_t>();
  for (int64_t t = 0; t < labels.numel(); ++t)
    TORCH_CHECK(label[t] == -100 || (label[t] >= 0 && label[t] < vocabulary), kWhere, ": label ",
                label[t], " of token ", t, " is neither -100 nor below the vocabulary of ",
                vocabulary);
}

}  // namespace

at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                                const at::Tensor& labels, const at::Tensor& label_weights,
                                double scale, at::Tensor* losses_out, at::Tensor* correct_out) {
  check_input(kWhere, "hidden", hidden);
  TORCH_CHECK(hidden.dim() == 2, kWhere, ": hidden has shape ", hidden.sizes(),
              ", must have [tokens, dim]");
  check_same(kWhere, "weight", weight, hidden);
  TORCH_CHECK(weight.dim() == 2 && weight.size(1) == hidden.size(1) && weight.size(0) > 0, kWhere,
              ": weight has shape ", weight.sizes(), ", must have [vocabulary, ", hidden.size(1),
              "]");
  check_ids(kWhere, "labels", labels, {hidden.size(0)}, hidden);
  check_labels(labels, weight.size(0));
  if (label_weights.defined()) {
    check_input(kWhere, "label_weights", label_weights);
    check_shape(kWhere, "label_weights", label_weights, {hidden.size(0)});
    TORCH_CHECK(
        label_weights.scalar_type() == at::kFloat && label_weights.device() == hidden.device(),
        kWhere, ": label_weights must be f32 on ", hidden.device());
  }
  switch (backend(hidden)) {
    case Backend::cpu:
      return cpu::linear_cross_entropy(hidden, weight, labels, label_weights, scale, losses_out,
                                       correct_out);
    case Backend::cuda:
      return cuda::linear_cross_entropy(hidden, weight, labels, label_weights, scale, losses_out,
                                        correct_out);
    default:
      return reference::linear_cross_entropy(hidden, weight, labels, label_weights, scale,
                                             losses_out, correct_out);
  }
}

}  // namespace veomni::kernels
