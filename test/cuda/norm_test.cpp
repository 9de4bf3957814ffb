// T tokens, D model
#include "test/cuda/support.h"

namespace veomni::test {
namespace {

struct Case {
  int64_t tokens, dim;
  bool residual;
};

constexpr double kEpsilon = 1e-5;

/// rms_norm in doubles, and its gradients for grad_y and a gradient of the sum.
struct Reference {
  Doubles s, y, rstd, grad_x, grad_weight;
  Reference(const Doubles& sum, const Doubles& weight, const Doubles& grad_y,
            const Doubles& grad_sum)
      : s(sum), y(sum.size()), grad_x(sum.size()), grad_weight(weight.size()) {
    const size_t dim = weight.size();
    for (size_t t = 0; t * dim < s.size(); ++t) {
      double square = 0, dot = 0;
      for (size_t d = 0; d < dim; ++d) square += s[t * dim + d] * s[t * dim + d];
      const double r = 1 / std::sqrt(square / static_cast<double>(dim) + kEpsilon);
      for (size_t d = 0; d < dim; ++d) {
        const size_t i = t * dim + d;
        y[i] = s[i] * r * weight[d];
        grad_weight[d] += grad_y[i] * s[i] * r;
        dot += grad_y[i] * weight[d] * s[i];
      }
      for (size_t d = 0; d < dim; ++d) {
        const size_t i = t * dim + d;
        grad_x[i] = r * grad_y[i] * weight[d] - r * r * r * s[i] * dot / static_cast<double>(dim) +
                    grad_sum[i];
      }
      rstd.push_back(r);
    }
  }
};

void run(const Case& c, const Precision& p) {
  const size_t count = static_cast<size_t>(c.tokens * c.dim), dim = static_cast<size_t>(c.dim);
  const Doubles x = draw(p.scalar, count, 1), residual = draw(p.scalar, count, 2);
  const Doubles weight = draw(p.scalar, dim, 3), grad_y = draw(p.scalar, count, 4);
  const Doubles grad_sum = c.residual ? draw(p.scalar, count, 5) : Doubles(count);
  Doubles sum = x;
  for (size_t i = 0; c.residual && i < count; ++i) sum[i] += residual[i];
  sum = Scalars::decode(p.scalar, Scalars::encode(p.scalar, sum));  // as it is stored
  const Reference want(sum, weight, grad_y, grad_sum);

  const Scalars x_in(p.scalar, x), residual_in(p.scalar, residual), weight_in(p.scalar, weight);
  const Scalars sum_out(p.scalar, count), y(p.scalar, count);
  const Device<float> rstd(static_cast<size_t>(c.tokens));
  VeomniRmsNorm forward{};
  forward.x = x_in.get(), forward.weight = weight_in.get(), forward.y = y.get();
  forward.rstd = rstd.get(), forward.tokens = c.tokens, forward.dim = c.dim;
  forward.epsilon = static_cast<float>(kEpsilon), forward.scalar = p.scalar;
  if (c.residual) forward.residual = residual_in.get(), forward.sum = sum_out.get();
  check_call(table().rms_norm(&forward, nullptr));
  check_close(y.host(), want.y, p.tolerance);
  check_close(doubles(rstd.host()), want.rstd, 2e-6);
  if (c.residual) check_close(sum_out.host(), sum, 1e-7);

  const Scalars grad_y_in(p.scalar, grad_y), grad_sum_in(p.scalar, grad_sum), s(p.scalar, sum);
  const Scalars grad_x(p.scalar, count), grad_weight(p.scalar, dim);
  const Device<float> partial(static_cast<size_t>(veomni_partial_rows(c.tokens) * c.dim));
  VeomniRmsNormBackward backward{};
  backward.grad_y = grad_y_in.get(), backward.s = s.get(), backward.weight = weight_in.get();
  backward.grad_sum = c.residual ? grad_sum_in.get() : nullptr, backward.rstd = rstd.get();
  backward.grad_x = grad_x.get(), backward.grad_weight = grad_weight.get();
  backward.partial = partial.get(), backward.tokens = c.tokens, backward.dim = c.dim;
  backward.scalar = p.scalar;
  check_call(table().rms_norm_backward(&backward, nullptr));
  check_close(grad_x.host(), want.grad_x, p.tolerance);
  check_close(grad_weight.host(), want.grad_weight, 4 * p.tolerance);
}

}  // namespace

TEST_CASE("cuda norm: rms_norm and add_rms_norm match double loops, forward and backward",
          "[cuda][gpu]") {
  const auto precision = GENERATE(VEOMNI_PRECISIONS);
  const auto c = GENERATE(Case{0, 8, false}, Case{1, 1, false}, Case{3, 31, true},
                          Case{33, 33, false}, Case{67, 256, true}, Case{2, 1000, true});
  INFO("T " << c.tokens << " D " << c.dim << " scalar " << precision.scalar);
  run(c, precision);
}

}  // namespace veomni::test
