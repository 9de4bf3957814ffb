// T tokens, N query heads, K key-value heads, H head size
#include "test/cuda/support.h"

namespace veomni::test {
namespace {

constexpr double kEpsilon = 1e-6;

struct Case {
  size_t tokens, query_heads, key_value_heads, head_dim;
  double theta;
  bool norm;
  size_t rotary_dims = 0;  // 0: all
  double turn_scale = 1;
  size_t turned() const { return rotary_dims > 0 ? rotary_dims : head_dim; }
};

/// One head: norm, then rotation; with its gradients.
struct Head {
  Doubles out, grad_in, grad_weight;
  Head(const double* x, const double* weight, const double* grad, const Case& c, int64_t position) {
    const size_t H = c.head_dim, half = c.turned() / 2;
    double square = 0;
    for (size_t i = 0; i < H; ++i) square += x[i] * x[i];
    const double r =
        weight != nullptr ? 1 / std::sqrt(square / static_cast<double>(H) + kEpsilon) : 1;
    Doubles y(H), dy(H);
    for (size_t i = 0; i < H; ++i) y[i] = x[i] * r * (weight != nullptr ? weight[i] : 1);
    out.resize(H), grad_in.resize(H), grad_weight.resize(H);
    for (size_t i = 0; i < half; ++i) {
      const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(c.turned());
      const double angle =
          c.theta > 0 ? static_cast<double>(position) * std::pow(c.theta, exponent) : 0;
      const double scale = c.theta > 0 ? c.turn_scale : 1;
      const double cosine = scale * std::cos(angle), sine = scale * std::sin(angle);
      out[i] = y[i] * cosine - y[half + i] * sine;
      out[half + i] = y[half + i] * cosine + y[i] * sine;
      dy[i] = grad[i] * cosine + grad[half + i] * sine;
      dy[half + i] = grad[half + i] * cosine - grad[i] * sine;
    }
    for (size_t i = 2 * half; i < H; ++i) out[i] = y[i], dy[i] = grad[i];
    grad_in = dy;
    if (weight == nullptr) return;
    double dot = 0;
    for (size_t i = 0; i < H; ++i) dot += dy[i] * weight[i] * x[i];
    for (size_t i = 0; i < H; ++i) {
      grad_weight[i] = dy[i] * x[i] * r;
      grad_in[i] = r * dy[i] * weight[i] - r * r * r * x[i] * dot / static_cast<double>(H);
    }
  }
};

struct Reference {
  Doubles qk, grad_qkv, grad_q_weight, grad_k_weight;
  Reference(const Case& c, const Doubles& qkv, const Doubles& grad, const Doubles& q_weight,
            const Doubles& k_weight, const std::vector<int64_t>& positions)
      : qk(grad.size()),
        grad_qkv(qkv.size()),
        grad_q_weight(c.head_dim),
        grad_k_weight(c.head_dim) {
    const size_t H = c.head_dim, heads = c.query_heads + c.key_value_heads;
    for (size_t t = 0; t < c.tokens; ++t) {
      for (size_t head = 0; head < heads; ++head) {
        const bool query = head < c.query_heads;
        const size_t in = (t * (heads + c.key_value_heads) + head) * H, at = (t * heads + head) * H;
        const double* weight = c.norm ? (query ? q_weight : k_weight).data() : nullptr;
        const Head h(&qkv[in], weight, &grad[at], c, positions[t]);
        std::copy(h.out.begin(), h.out.end(), qk.begin() + static_cast<long>(at));
        std::copy(h.grad_in.begin(), h.grad_in.end(), grad_qkv.begin() + static_cast<long>(in));
        Doubles& sum = query ? grad_q_weight : grad_k_weight;
        for (size_t i = 0; i < H; ++i) sum[i] += h.grad_weight[i];
      }
    }
  }
};

void run(const Case& c, const Precision& p) {
  const size_t H = c.head_dim, heads = c.query_heads + c.key_value_heads;
  const Doubles qkv = draw(p.scalar, c.tokens * (heads + c.key_value_heads) * H, 1);
  const Doubles grad = draw(p.scalar, c.tokens * heads * H, 2);
  const Doubles q_weight = draw(p.scalar, H, 3), k_weight = draw(p.scalar, H, 4);
  std::vector<int64_t> positions(c.tokens);
  for (size_t t = 0; t < c.tokens; ++t) positions[t] = static_cast<int64_t>(t * t * 13);
  const Reference want(c, qkv, grad, q_weight, k_weight, positions);

  const Scalars in(p.scalar, qkv), grad_in(p.scalar, grad), q_w(p.scalar, q_weight),
      k_w(p.scalar, k_weight);
  const Scalars qk(p.scalar, grad.size()), grad_qkv(p.scalar, Doubles(qkv.size()));
  const Scalars grad_q_w(p.scalar, H), grad_k_w(p.scalar, H);
  const Device<int64_t> positions_d(positions);
  const Device<float> partial(
      static_cast<size_t>(veomni_partial_rows(static_cast<int64_t>(c.tokens))) * 2 * H);
  VeomniRope a{};
  a.qkv = in.get(), a.positions = c.theta > 0 ? positions_d.get() : nullptr, a.qk = qk.get();
  a.grad_qk = grad_in.get(), a.grad_qkv = grad_qkv.get(), a.tokens = static_cast<int64_t>(c.tokens);
  a.query_heads = static_cast<int64_t>(c.query_heads), a.head_dim = static_cast<int64_t>(H);
  a.key_value_heads = static_cast<int64_t>(c.key_value_heads), a.theta = c.theta;
  a.epsilon = static_cast<float>(kEpsilon), a.scalar = p.scalar;
  a.rotary_dims = static_cast<int64_t>(c.turned()), a.turn_scale = c.turn_scale;
  // theta's own frequencies as a table: of one row, or of a row for each token.
  Doubles frequency;
  for (size_t t = 0; t < c.tokens; ++t)
    for (size_t i = 0; i < c.turned() / 2; ++i)
      frequency.push_back(
          std::pow(c.theta, -2.0 * static_cast<double>(i) / static_cast<double>(c.turned())));
  const Device<double> frequency_d(frequency);
  if (c.turn_scale != 1) a.frequency = frequency_d.get();
  if (c.norm) a.frequency_row = a.rotary_dims / 2;
  if (c.norm) {
    a.q_weight = q_w.get(), a.k_weight = k_w.get(), a.partial = partial.get();
    a.grad_q_weight = grad_q_w.get(), a.grad_k_weight = grad_k_w.get();
  }
  check_call(table().rope(&a, nullptr));
  check_call(table().rope_backward(&a, nullptr));
  check_close(qk.host(), want.qk, p.tolerance);
  check_close(grad_qkv.host(), want.grad_qkv, 2 * p.tolerance);
  if (!c.norm) return;
  check_close(grad_q_w.host(), want.grad_q_weight, 4 * p.tolerance);
  check_close(grad_k_w.host(), want.grad_k_weight, 4 * p.tolerance);
}

}  // namespace

TEST_CASE("cuda rope: norm of heads and rotation match double loops, forward and backward",
          "[cuda][gpu]") {
  const auto precision = GENERATE(VEOMNI_PRECISIONS);
  const auto c = GENERATE(
      Case{3, 2, 1, 2, 1e4, false}, Case{70, 3, 1, 32, 1e4, true}, Case{5, 9, 3, 80, 1e6, true},
      Case{4, 2, 2, 256, 1e4, true}, Case{6, 1, 1, 66, 0, true}, Case{0, 1, 1, 8, 1e4, true},
      Case{5, 2, 1, 64, 1e4, true, 16}, Case{3, 1, 1, 96, 1e4, false, 72},
      Case{5, 2, 1, 64, 1e4, true, 16, 1.25}, Case{3, 2, 1, 32, 1e4, false, 0, 0.8});
  INFO("T " << c.tokens << " H " << c.head_dim << " theta " << c.theta << " scalar "
            << precision.scalar);
  run(c, precision);
}

}  // namespace veomni::test
