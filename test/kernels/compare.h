#pragma once
// What the kernel tests share: gradients of an op against the composed reference in f64.

#include <torch/types.h>

#include <functional>
#include <utility>
#include <vector>

#include "kernels/cpu/isa.h"

namespace veomni::test {

using Tensors = std::vector<at::Tensor>;
using Op = std::function<at::Tensor(const Tensors&)>;

/// Fixed values, the same whatever ran before: about uniform in [-1, 1], in f32.
inline at::Tensor values(at::IntArrayRef shape, int64_t salt = 0) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  const at::Tensor x = at::arange(count, at::kDouble);
  return ((x * 0.7548776662 + static_cast<double>(salt) * 0.317).frac() * 2 - 1)
      .to(at::kFloat)
      .view(shape);
}

struct Result {
  at::Tensor out;
  Tensors gradients;
};

/// Output and gradients, in f64, of op on leaves made from `inputs` in `type`; the output's
/// gradient is values(…, 99).
inline Result evaluate(const Op& op, const Tensors& inputs, at::ScalarType type) {
  Tensors leaves;
  for (const at::Tensor& input : inputs) {
    if (!input.defined() || !input.is_floating_point())
      leaves.push_back(input);
    else
      leaves.push_back(input.to(type).clone().requires_grad_());
  }
  const at::Tensor out = op(leaves);
  out.backward(values(out.sizes(), 99).to(out.scalar_type()));
  Result result{out.detach().to(at::kDouble), {}};
  for (const at::Tensor& leaf : leaves)
    if (leaf.defined() && leaf.requires_grad())
      result.gradients.push_back(leaf.grad().defined() ? leaf.grad().to(at::kDouble)
                                                       : at::zeros_like(leaf, at::kDouble));
  return result;
}

/// Largest difference, relative to the largest value (at least `floor`). NaN anywhere gives
/// infinity.
inline double difference(const at::Tensor& a, const at::Tensor& b, double floor = 0.1) {
  if (a.sizes() != b.sizes()) return INFINITY;
  if (a.numel() == 0) return 0;
  const double top = std::max(floor, b.abs().max().item<double>());
  const double error = (a - b).abs().max().item<double>() / top;
  return error == error ? error : INFINITY;
}

/// The worst difference of output and gradients between op in `type` and the reference in f64 on
/// the same (rounded) inputs.
inline double worst_difference(const Op& op, const Op& reference, const Tensors& inputs,
                               at::ScalarType type) {
  Tensors rounded;
  for (const at::Tensor& input : inputs)
    rounded.push_back(input.defined() && input.is_floating_point() ? input.to(type).to(at::kFloat)
                                                                   : input);
  const Result ours = evaluate(op, rounded, type),
               exact = evaluate(reference, rounded, at::kDouble);
  double worst = difference(ours.out, exact.out);
  for (size_t i = 0; i < ours.gradients.size(); ++i)
    worst = std::max(worst, difference(ours.gradients[i], exact.gradients[i]));
  return worst;
}

/// op on the GPU, its inputs and its result on the host: gradients go both ways.
inline Op on_gpu(const Op& op) {
  return [op](const Tensors& inputs) {
    Tensors there;
    for (const at::Tensor& input : inputs)
      there.push_back(input.defined() ? input.to(at::kCUDA) : input);
    return op(there).cpu();
  };
}

inline constexpr std::pair<at::ScalarType, double> kTypes[] = {{at::kFloat, 2e-5},
                                                               {at::kBFloat16, 2e-2}};

/// Central differences of Σ op · weight in f64 against autograd: the largest error over all
/// elements of all inputs.
inline double finite_difference_error(const Op& op, const Tensors& inputs) {
  Tensors doubles;
  for (const at::Tensor& input : inputs)
    doubles.push_back(input.defined() && input.is_floating_point() ? input.to(at::kDouble) : input);
  const Result exact = evaluate(op, doubles, at::kDouble);
  const at::Tensor weight = values(exact.out.sizes(), 99).to(at::kDouble);
  const at::NoGradGuard no_grad;
  double worst = 0;
  size_t which = 0;
  for (const at::Tensor& input : doubles) {
    if (!input.defined() || !input.is_floating_point()) continue;
    const at::Tensor flat = input.view(-1), gradient = exact.gradients[which++].reshape(-1);
    for (int64_t i = 0; i < flat.numel(); ++i) {
      const double old = flat[i].item<double>(), step = 1e-6;
      const auto shifted = [&](double value) {
        flat[i].fill_(value);
        return (op(doubles) * weight).sum().item<double>();
      };
      const double slope = (shifted(old + step) - shifted(old - step)) / (2 * step);
      flat[i].fill_(old);
      worst = std::max(worst, std::abs(slope - gradient[i].item<double>()));
    }
  }
  return worst;
}

/// Runs `body` on every instruction set of this machine, then goes back to the one it found.
template <class F>
void on_every_isa(const F& body) {
  const std::string before = kernels::isa_name();
  for (const std::string& isa : kernels::available_isas()) {
    kernels::use_isa(isa);
    body(isa);
  }
  kernels::use_isa(before);
}

}  // namespace veomni::test
