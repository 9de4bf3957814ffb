// SwiGLU, AdamW and the sum of squares.
#include "test/cuda/support.h"

namespace veomni::test {

TEST_CASE("cuda swiglu: matches double loops, forward and backward", "[cuda][gpu]") {
  const auto precision = GENERATE(VEOMNI_PRECISIONS);
  const auto [tokens, width] =
      GENERATE(std::pair<size_t, size_t>{0, 4}, std::pair<size_t, size_t>{1, 1},
               std::pair<size_t, size_t>{31, 33}, std::pair<size_t, size_t>{5, 128});
  const Doubles gate_up = draw(precision.scalar, tokens * width * 2, 1);
  const Doubles grad_out = draw(precision.scalar, tokens * width, 2);
  Doubles out(tokens * width), grad(tokens * width * 2);
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t at = i / width * 2 * width + i % width;
    const double gate = gate_up[at], up = gate_up[at + width], s = 1 / (1 + std::exp(-gate));
    out[i] = gate * s * up;
    grad[at] = grad_out[i] * up * (s + gate * s * (1 - s));
    grad[at + width] = grad_out[i] * gate * s;
  }
  const Scalars in(precision.scalar, gate_up), grad_in(precision.scalar, grad_out);
  const Scalars result(precision.scalar, out.size()), grad_result(precision.scalar, grad.size());
  VeomniSwiglu args{in.get(),
                    result.get(),
                    grad_in.get(),
                    grad_result.get(),
                    static_cast<int64_t>(tokens),
                    static_cast<int64_t>(width),
                    precision.scalar};
  check_call(table().swiglu(&args, nullptr));
  check_call(table().swiglu_backward(&args, nullptr));
  check_close(result.host(), out, precision.tolerance);
  check_close(grad_result.host(), grad, precision.tolerance);
}

TEST_CASE("cuda adamw: three steps match double loops", "[cuda][gpu]") {
  const size_t count = GENERATE(0u, 1u, 257u);
  const double lr = 0.1, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.01, clip = 0.5;
  Doubles parameter = draw(kVeomniF32, count, 1), m(count), v(count);
  const Device<float> parameter_d(std::vector<float>(parameter.begin(), parameter.end()));
  const Device<float> m_d(std::vector<float>(count, 0)), v_d(std::vector<float>(count, 0));
  for (int step = 1; step <= 3; ++step) {
    const Doubles gradient = draw(kVeomniF32, count, 10u + static_cast<unsigned>(step));
    const Device<float> gradient_d(std::vector<float>(gradient.begin(), gradient.end()));
    const double correction1 = 1 - std::pow(beta1, step), correction2 = 1 - std::pow(beta2, step);
    for (size_t i = 0; i < count; ++i) {
      const double g = gradient[i] * clip;
      parameter[i] *= 1 - lr * weight_decay;
      m[i] = beta1 * m[i] + (1 - beta1) * g;
      v[i] = beta2 * v[i] + (1 - beta2) * g * g;
      parameter[i] -= lr * (m[i] / correction1) / (std::sqrt(v[i] / correction2) + eps);
    }
    const auto f = [](double x) { return static_cast<float>(x); };
    const VeomniAdamW args{parameter_d.get(),
                           gradient_d.get(),
                           m_d.get(),
                           v_d.get(),
                           static_cast<int64_t>(count),
                           f(clip),
                           f(1 - lr * weight_decay),
                           f(1 - beta1),
                           f(beta2),
                           f(1 - beta2),
                           f(lr / correction1),
                           f(std::sqrt(correction2)),
                           f(eps)};
    check_call(table().adamw(&args, nullptr));
  }
  check_close(doubles(parameter_d.host()), parameter, 1e-6);
  check_close(doubles(m_d.host()), m, 1e-6);
  check_close(doubles(v_d.host()), v, 1e-7);
}

TEST_CASE("cuda sum_of_squares: f64 precision", "[cuda][gpu]") {
  const size_t count = GENERATE(0u, 1u, 1000u, 300001u);
  const Doubles x = draw(kVeomniF32, count, 1);
  long double want = 0;
  for (const long double value : x) want += value * value;
  const Device<float> x_d(std::vector<float>(x.begin(), x.end()));
  const Device<double> partial(kVeomniSquarePartials), sum(1);
  const VeomniSumOfSquares args{x_d.get(), partial.get(), sum.get(), static_cast<int64_t>(count)};
  check_call(table().sum_of_squares(&args, nullptr));
  CHECK(sum.host()[0] == Approx(static_cast<double>(want)).epsilon(1e-13));
}

}  // namespace veomni::test
