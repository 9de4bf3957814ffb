// T tokens, N query heads, K key-value heads, H head size
#include <algorithm>

#include "test/cuda/support.h"

namespace veomni::test {
namespace {

struct Case {
  std::vector<int32_t> cu_seqlens;
  size_t tokens, query_heads, key_value_heads, head_dim;
  bool causal;
  int32_t window = 0;
};

std::vector<VeomniTile> tiles_of(const std::vector<int32_t>& cu_seqlens, int64_t rows) {
  std::vector<VeomniTile> tiles;
  for (size_t s = 0; s + 1 < cu_seqlens.size(); ++s) {
    for (int32_t first = cu_seqlens[s]; first < cu_seqlens[s + 1];
         first += static_cast<int32_t>(rows)) {
      tiles.push_back({cu_seqlens[s], cu_seqlens[s + 1], first});
    }
  }
  return tiles;
}

/// Attention of qkv [T, (N + 2K) H] in doubles, all probabilities at once.
struct Reference {
  const Case& c;
  size_t width;
  Doubles out, lse, grad_qkv;

  Reference(const Case& c_, const Doubles& qkv, const Doubles& grad_out)
      : c(c_),
        width((c.query_heads + 2 * c.key_value_heads) * c.head_dim),
        out(c.tokens * c.query_heads * c.head_dim),
        lse(c.query_heads * c.tokens),
        grad_qkv(qkv.size()) {
    for (size_t s = 0; s + 1 < c.cu_seqlens.size(); ++s) {
      for (size_t head = 0; head < c.query_heads; ++head) {
        for (int32_t q = c.cu_seqlens[s]; q < c.cu_seqlens[s + 1]; ++q) {
          const int32_t end = c.causal ? q + 1 : c.cu_seqlens[s + 1];
          const int32_t first =
              c.window > 0 ? std::max(c.cu_seqlens[s], q + 1 - c.window) : c.cu_seqlens[s];
          row(qkv, grad_out, head, static_cast<size_t>(q), static_cast<size_t>(first),
              static_cast<size_t>(end));
        }
      }
    }
  }

  void row(const Doubles& qkv, const Doubles& grad_out, size_t head, size_t q, size_t begin,
           size_t end) {
    const size_t H = c.head_dim, kv = head / (c.query_heads / c.key_value_heads);
    const size_t q_at = q * width + head * H, o_at = (q * c.query_heads + head) * H;
    const auto k_at = [&](size_t t) { return t * width + (c.query_heads + kv) * H; };
    const auto v_at = [&](size_t t) { return k_at(t) + c.key_value_heads * H; };
    const double scale = 1 / std::sqrt(static_cast<double>(H));
    Doubles p(end - begin), dp(end - begin);
    double sum = 0, delta = 0;
    for (size_t k = begin; k < end; ++k) {
      double score = 0;
      for (size_t d = 0; d < H; ++d) {
        score += qkv[q_at + d] * qkv[k_at(k) + d];
        dp[k - begin] += grad_out[o_at + d] * qkv[v_at(k) + d];
      }
      sum += p[k - begin] = std::exp(score * scale);
    }
    lse[head * c.tokens + q] = std::log(sum);
    for (size_t i = 0; i < p.size(); ++i) delta += (p[i] /= sum) * dp[i];
    for (size_t k = begin; k < end; ++k) {
      const double probability = p[k - begin], ds = probability * (dp[k - begin] - delta) * scale;
      for (size_t d = 0; d < H; ++d) {
        out[o_at + d] += probability * qkv[v_at(k) + d];
        grad_qkv[v_at(k) + d] += probability * grad_out[o_at + d];
        grad_qkv[q_at + d] += ds * qkv[k_at(k) + d];
        grad_qkv[k_at(k) + d] += ds * qkv[q_at + d];
      }
    }
  }
};

/// Moves a pointer to storage by `elements`.
void* shift(void* pointer, int32_t scalar, size_t elements) {
  return static_cast<char*>(pointer) + elements * (scalar == kVeomniF32 ? 4 : 2);
}

void run(const Case& c, const Precision& p) {
  const size_t H = c.head_dim, width = (c.query_heads + 2 * c.key_value_heads) * H;
  const size_t k_column = c.query_heads * H, v_column = k_column + c.key_value_heads * H;
  const Doubles qkv = draw(p.scalar, c.tokens * width, 1);
  const Doubles grad_out = draw(p.scalar, c.tokens * c.query_heads * H, 2);
  const Reference want(c, qkv, grad_out);

  const Scalars in(p.scalar, qkv), grad_in(p.scalar, grad_out);
  const Scalars out(p.scalar, Doubles(want.out.size())), grad(p.scalar, Doubles(qkv.size()));
  const Device<float> lse(std::vector<float>(want.lse.size(), 0)), delta(want.lse.size());
  const std::vector<VeomniTile> tiles =
      tiles_of(c.cu_seqlens, veomni_attention_rows(static_cast<int64_t>(H), false));
  const std::vector<VeomniTile> backward_tiles =
      tiles_of(c.cu_seqlens, veomni_attention_rows(static_cast<int64_t>(H), true));
  const Device<VeomniTile> tiles_d(tiles), backward_tiles_d(backward_tiles);

  VeomniAttention a{};
  a.q = in.get(), a.k = shift(in.get(), p.scalar, k_column),
  a.v = shift(in.get(), p.scalar, v_column);
  a.q_stride = a.k_stride = a.v_stride = static_cast<int64_t>(width);
  a.out = out.get(), a.lse = lse.get(), a.tokens = static_cast<int64_t>(c.tokens);
  a.tiles = tiles_d.get(), a.tile_count = static_cast<int64_t>(tiles.size());
  a.query_heads = static_cast<int64_t>(c.query_heads), a.head_dim = static_cast<int64_t>(H);
  a.key_value_heads = static_cast<int64_t>(c.key_value_heads), a.causal = c.causal,
  a.window = c.window, a.scalar = p.scalar;
  check_call(table().attention(&a, nullptr));
  check_close(out.host(), want.out, p.tolerance);
  check_close(doubles(lse.host()), want.lse, 2e-6);

  a.tiles = backward_tiles_d.get(), a.tile_count = static_cast<int64_t>(backward_tiles.size());
  a.grad_out = grad_in.get(), a.grad_q = grad.get(), a.delta = delta.get();
  a.grad_k = shift(grad.get(), p.scalar, k_column),
  a.grad_v = shift(grad.get(), p.scalar, v_column);
  a.grad_q_stride = a.grad_k_stride = a.grad_v_stride = static_cast<int64_t>(width);
  check_call(table().attention_backward(&a, nullptr));
  check_close(grad.host(), want.grad_qkv, 3 * p.tolerance);
}

}  // namespace

TEST_CASE("cuda attention: packed samples match double loops, forward and backward",
          "[cuda][gpu]") {
  const auto precision = GENERATE(VEOMNI_PRECISIONS);
  const bool causal = GENERATE(true, false);
  const auto shape =
      GENERATE(Case{{0, 1, 34, 99}, 101, 2, 1, 16, true}, Case{{0, 70}, 70, 2, 2, 20, true},
               Case{{0, 3, 3, 67}, 67, 4, 2, 64, true}, Case{{0, 40, 73}, 73, 1, 1, 80, true},
               Case{{0, 5, 39}, 40, 2, 1, 256, true}, Case{{0}, 3, 1, 1, 32, true});
  Case c = shape;
  c.causal = causal;
  INFO("H " << c.head_dim << " T " << c.tokens << " causal " << causal << " scalar "
            << precision.scalar);
  run(c, precision);
}

TEST_CASE("cuda attention: within a window it matches double loops too", "[cuda][gpu]") {
  const auto precision = GENERATE(VEOMNI_PRECISIONS);
  const auto c =
      GENERATE(Case{{0, 1, 34, 140}, 141, 2, 1, 16, true, 5},
               Case{{0, 150}, 150, 2, 2, 20, true, 64}, Case{{0, 3, 203}, 203, 4, 2, 64, true, 70},
               Case{{0, 70}, 70, 1, 1, 256, true, 1}, Case{{0, 9}, 9, 1, 1, 8, true, 99});
  INFO("H " << c.head_dim << " window " << c.window << " scalar " << precision.scalar);
  run(c, precision);
}

}  // namespace veomni::test
