// Not a test: times the fused CPU kernels against the same mathematics in ATen operators, forward
// and backward. scripts/bench_kernels runs it.
#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <ctime>
#include <functional>

#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/cpu/allocator.h"
#include "kernels/cpu/isa.h"
#include "kernels/cross_entropy.h"
#include "kernels/embedding.h"
#include "kernels/linear.h"
#include "kernels/moe.h"
#include "kernels/norm.h"
#include "kernels/optimizer.h"
#include "kernels/reference.h"

namespace {

using namespace veomni;
using Op = std::function<at::Tensor()>;

/// Wall time; with one thread the processor's time, which other programs on the machine disturb
/// less.
double now_ms() {
  timespec t{};
  clock_gettime(at::get_num_threads() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) * 1e-6;
}

double median_ms(const std::function<void()>& body, int repeats = 21) {
  for (int i = 0; i < 3; ++i) body();
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    const double start = now_ms();
    body();
    times.push_back(now_ms() - start);
  }
  std::nth_element(times.begin(), times.begin() + repeats / 2, times.end());
  return times[static_cast<size_t>(repeats / 2)];
}

void row(const char* name, const std::function<void()>& ours, const std::function<void()>& eager) {
  const double a = median_ms(ours), b = median_ms(eager);
  std::printf("%-44s %9.3f ms %9.3f ms %7.2f x\n", name, a, b, b / a);
  std::fflush(stdout);
}

/// Forward and backward of an op whose inputs require gradients.
std::function<void()> both_ways(const std::vector<at::Tensor>& inputs, const Op& op) {
  const at::Tensor gradient = at::randn_like(op());
  return [=] {
    op().backward(gradient);
    for (at::Tensor input : inputs) input.mutable_grad().reset();
  };
}

at::Tensor leaf(at::IntArrayRef shape) { return at::randn(shape).mul_(0.5).requires_grad_(); }

struct Model {
  const char* name;
  int64_t samples, length, heads, head_dim, vocabulary;
  int64_t tokens() const { return samples * length; }
  int64_t dim() const { return heads * head_dim; }
};

at::Tensor eager_attention(const at::Tensor& qkv, const Model& m, const at::Tensor& cosine,
                           const at::Tensor& sine) {
  const at::Tensor all =
      qkv.view({m.samples, m.length, 3, m.heads, m.head_dim}).permute({2, 0, 3, 1, 4});
  const auto rotate = [&](const at::Tensor& x) {
    if (!cosine.defined()) return x;
    const at::Tensor a = x.narrow(3, 0, m.head_dim / 2),
                     b = x.narrow(3, m.head_dim / 2, m.head_dim / 2);
    return x * cosine + at::cat({-b, a}, 3) * sine;
  };
  const at::Tensor out =
      at::scaled_dot_product_attention(rotate(all[0]), rotate(all[1]), all[2], {}, 0.0, true);
  return out.transpose(1, 2).reshape({m.tokens(), m.dim()});
}

void attention_rows(const Model& m) {
  const at::Tensor qkv = leaf({m.tokens(), 3 * m.dim()});
  const at::Tensor positions = at::arange(m.length, at::kLong).repeat({m.samples});
  const at::Tensor cu = (at::arange(m.samples + 1, at::kLong) * m.length).to(at::kInt);
  const at::Tensor frequency =
      at::pow(1e4, -at::arange(m.head_dim / 2, at::kFloat) * (2.0 / double(m.head_dim)));
  const at::Tensor angle = at::arange(m.length, at::kFloat).unsqueeze(1) * frequency;
  const at::Tensor cosine = at::cat({angle, angle}, 1).cos(),
                   sine = at::cat({angle, angle}, 1).sin();
  for (const bool rope : {false, true}) {
    const kernels::AttentionShape shape{m.heads, m.heads, m.head_dim, true, rope ? 1e4 : 0.0};
    const auto ours = [=] { return kernels::packed_attention(qkv, {}, {}, positions, cu, shape); };
    const auto eager = [=] {
      return rope ? eager_attention(qkv, m, cosine, sine) : eager_attention(qkv, m, {}, {});
    };
    row(rope ? "attention + rope, forward + backward" : "attention, forward + backward",
        both_ways({qkv}, ours), both_ways({qkv}, eager));
    const at::NoGradGuard no_grad;
    row(
        "  forward", [=] { ours(); }, [=] { eager(); });
  }
}

void element_rows(const Model& m) {
  const at::Tensor x = leaf({m.tokens(), m.dim()}), r = leaf({m.tokens(), m.dim()}),
                   w = leaf({m.dim()});
  row("rms_norm", both_ways({x, w}, [=] { return kernels::rms_norm(x, w, 1e-6); }),
      both_ways({x, w}, [=] { return at::rms_norm(x, {m.dim()}, w, 1e-6); }));
  row("  against composed ops", both_ways({x, w}, [=] { return kernels::rms_norm(x, w, 1e-6); }),
      both_ways({x, w}, [=] { return kernels::reference::rms_norm(x, w, 1e-6); }));
  row("add_rms_norm (both results used)",
      both_ways({x, r, w},
                [=] {
                  const auto [sum, y] = kernels::add_rms_norm(x, r, w, 1e-6);
                  return at::add(sum, y);
                }),
      both_ways({x, r, w}, [=] {
        const at::Tensor sum = x + r;
        return at::add(sum, at::rms_norm(sum, {m.dim()}, w, 1e-6));
      }));
  const int64_t width = m.dim() * 8 / 3 / 32 * 32;
  const at::Tensor gate_up = leaf({m.tokens(), 2 * width});
  row("swiglu", both_ways({gate_up}, [=] { return kernels::swiglu(gate_up); }),
      both_ways({gate_up}, [=] {
        const auto parts = gate_up.chunk(2, 1);
        return at::silu(parts[0]) * parts[1];
      }));
  const at::Tensor big = leaf({3 * m.dim(), m.dim()});
  row("linear", both_ways({x, big}, [=] { return kernels::linear(x, big, {}); }),
      both_ways({x, big}, [=] { return at::linear(x, big); }));
  const at::Tensor square = leaf({m.dim(), m.dim()});
  row("linear_add", both_ways({x, square, r}, [=] { return kernels::linear_add(x, square, r); }),
      both_ways({x, square, r}, [=] { return r + at::linear(x, square); }));
}

void vocabulary_rows(const Model& m) {
  const at::Tensor x = leaf({m.tokens(), m.dim()}), w = leaf({m.vocabulary, m.dim()});
  const at::Tensor ids = at::randint(m.vocabulary, {m.tokens()}, at::kLong);
  row("linear_cross_entropy",
      both_ways({x, w},
                [=] {
                  return kernels::linear_cross_entropy(x, w, ids, {}, 1.0 / double(m.tokens()),
                                                       nullptr, nullptr);
                }),
      both_ways({x, w}, [=] { return at::cross_entropy_loss(at::linear(x, w), ids); }));
  row("embedding", both_ways({w}, [=] { return kernels::embedding(w, ids); }),
      both_ways({w}, [=] { return at::embedding(w, ids); }));
}

at::Tensor eager_experts(const at::Tensor& x, const at::Tensor& gates, const at::Tensor& chosen,
                         const at::Tensor& gate_up, const at::Tensor& down) {
  at::Tensor out = at::zeros_like(x);
  for (int64_t e = 0; e < gate_up.size(0); ++e) {
    const at::Tensor where = chosen.eq(e).nonzero(), token = where.select(1, 0);
    const auto parts = at::linear(x.index_select(0, token), gate_up[e]).chunk(2, 1);
    const at::Tensor y = at::linear(at::silu(parts[0]) * parts[1], down[e]);
    out = out.index_add(0, token, y * gates.index({token, where.select(1, 1)}).unsqueeze(1));
  }
  return out;
}

at::Tensor sorted_experts(const at::Tensor& x, const at::Tensor& gates, const at::Tensor& chosen,
                          const at::Tensor& gate_up, const at::Tensor& down) {
  const at::Tensor order = chosen.view(-1).argsort(true, -1, false),
                   token = order.floor_divide(chosen.size(1));
  const at::Tensor ends = chosen.view(-1).bincount({}, gate_up.size(0)).cumsum(0).to(at::kInt);
  const auto parts =
      at::_grouped_mm(x.index_select(0, token), gate_up.transpose(1, 2), ends).chunk(2, 1);
  const at::Tensor y = at::_grouped_mm(at::silu(parts[0]) * parts[1], down.transpose(1, 2), ends);
  const at::Tensor gate = gates.view(-1).index_select(0, order).unsqueeze(1);
  return at::zeros_like(x).index_add(0, token, y * gate);
}

void expert_rows(const Model& m) {
  constexpr int64_t kExperts = 8, kChoices = 2;
  const at::Tensor x = leaf({m.tokens(), m.dim()}), gates = leaf({m.tokens(), kChoices});
  const at::Tensor chosen =
      at::rand({m.tokens(), kExperts}).argsort(-1, false).narrow(1, 0, kChoices).contiguous();
  const at::Tensor gate_up = leaf({kExperts, 2 * m.dim(), m.dim()}),
                   down = leaf({kExperts, m.dim(), m.dim()});
  const std::vector<at::Tensor> inputs{x, gates, gate_up, down};
  const auto ours =
      both_ways(inputs, [=] { return kernels::moe_experts(x, gates, chosen, gate_up, down); });
  row("moe_experts, 8 experts, 2 a token", ours,
      both_ways(inputs, [=] { return eager_experts(x, gates, chosen, gate_up, down); }));
  row("  against _grouped_mm", ours,
      both_ways(inputs, [=] { return sorted_experts(x, gates, chosen, gate_up, down); }));
}

void optimizer_rows(int64_t elements) {
  at::Tensor p = at::randn({elements}), m = at::zeros({elements}), v = at::zeros({elements});
  const at::Tensor g = at::randn({elements}), step = at::ones({});
  const kernels::AdamW settings{1e-3, 0.9, 0.95, 1e-8, 0.1, 1, 1};
  row(
      "adamw_", [&] { kernels::adamw_(p, g, m, v, settings); },
      [&] {
        at::_fused_adamw_({p}, {g}, {m}, {v}, {}, {step}, 1e-3, 0.9, 0.95, 0.1, 1e-8, false, false);
      });
  row(
      "sum_of_squares", [&] { (void)kernels::sum_of_squares(g); },
      [&] { (void)g.norm().item<float>(); });
}

}  // namespace

TEST_CASE("bench: fused CPU kernels against ATen", "[.][kernels][bench]") {
  for (const bool tuned : {false, true}) {
    if (tuned) kernels::tune_allocator();
    for (const Model& m :
         {Model{"4 heads of 32, 12 x 64 tokens, vocabulary 65", 12, 64, 4, 32, 65},
          Model{"6 heads of 64, 8 x 256 tokens, vocabulary 65", 8, 256, 6, 64, 65}}) {
      std::printf("\n%s, %s, %d threads, %s allocator\n%-44s %12s %12s %9s\n", m.name,
                  kernels::isa_name().c_str(), at::get_num_threads(), tuned ? "tuned" : "plain",
                  "forward + backward", "fused", "ATen", "ratio");
      attention_rows(m);
      element_rows(m);
      vocabulary_rows(m);
      expert_rows(m);
      optimizer_rows(12 * m.dim() * m.dim() * (m.heads == 4 ? 4 : 6));
    }
  }
}
