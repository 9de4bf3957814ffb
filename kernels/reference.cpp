#include "kernels/reference.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "kernels/cached_backends.h"

// S samples, L tokens of one sample, N query heads, K key-value heads, H head size

namespace veomni::kernels::reference {
namespace {

/// Rows in f32 unless they are f64: norms and softmax are not computed in bf16.
at::Tensor widen(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
}

/// What turns a row: positions and the frequencies of its pairs.
struct Turn {
  at::Tensor positions, frequencies;  ///< [T] i64; [1 or T, R/2] f64
  double factor = 1;
};

Turn turn_of(const AttentionShape& shape, const at::Tensor& positions, const at::Tensor& cu_seqlens,
             int64_t tokens) {
  if (shape.rope_theta <= 0) return {};
  const double factor = shape.rope_scaling.attention_factor;
  if (positions.dim() == 2)
    return {at::ones({tokens}, positions.options()), rope_angles(shape, positions), factor};
  return {positions, rope_frequency_rows(shape, cu_seqlens, tokens), factor};
}

/// x [T, heads, H], its first dims rotated by its positions, halves as Hugging Face's rotate_half.
at::Tensor rotate(const at::Tensor& x, const Turn& turn) {
  const int64_t half = turn.frequencies.size(1);
  const at::Tensor angle =
      (turn.positions.to(at::kDouble).unsqueeze(1) * turn.frequencies.to(x.device())).unsqueeze(1);
  const at::Tensor cosine = (angle.cos() * turn.factor).to(x.scalar_type()),
                   sine = (angle.sin() * turn.factor).to(x.scalar_type());
  const at::Tensor a = x.narrow(2, 0, half), b = x.narrow(2, half, half);
  const at::Tensor rest = x.slice(2, 2 * half);
  return at::cat({a * cosine - b * sine, b * cosine + a * sine, rest}, 2);
}

at::Tensor prepare(at::Tensor x, const at::Tensor& weight, const Turn& turn, double epsilon) {
  if (weight.defined()) x = reference::rms_norm(x, widen(weight), epsilon);
  return turn.frequencies.defined() ? rotate(x, turn) : x;
}

/// q [L, N, H], k and v [L, K, H] → [L, N, H]
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal,
                  int64_t window) {
  const int64_t group = q.size(1) / k.size(1), length = q.size(0);
  const at::Tensor keys = k.repeat_interleave(group, 1).permute({1, 2, 0});
  at::Tensor scores =
      at::matmul(q.transpose(0, 1), keys) / std::sqrt(static_cast<double>(q.size(2)));
  if (causal) {
    const at::Tensor all = at::ones({length, length}, q.options().dtype(at::kBool));
    at::Tensor hidden = all.triu(1);
    if (window > 0) hidden = hidden.logical_or(all.tril(-window));
    scores = scores.masked_fill(hidden, -INFINITY);
  }
  return at::matmul(scores.softmax(-1), v.repeat_interleave(group, 1).transpose(0, 1))
      .transpose(0, 1);
}

}  // namespace

at::Tensor packed_attention(const at::Tensor& qkv, const at::Tensor& q_weight,
                            const at::Tensor& k_weight, const at::Tensor& positions,
                            const at::Tensor& cu_seqlens, const AttentionShape& shape) {
  const int64_t queries = shape.query_heads, keys = shape.key_value_heads, tokens = qkv.size(0);
  const at::Tensor heads = widen(qkv).view({tokens, queries + 2 * keys, shape.head_dim});
  const Turn turn = turn_of(shape, positions, cu_seqlens, tokens);
  const double epsilon = shape.qk_norm_eps;
  const at::Tensor q = prepare(heads.narrow(1, 0, queries), q_weight, turn, epsilon);
  const at::Tensor k = prepare(heads.narrow(1, queries, keys), k_weight, turn, epsilon);
  const at::Tensor v = heads.narrow(1, queries + keys, keys);
  const int32_t* begin = cu_seqlens.const_data_ptr<int32_t>();
  const int64_t samples = cu_seqlens.numel() - 1;
  // The empty piece keeps the result in the graph when there is no sample.
  std::vector<at::Tensor> rows{q.narrow(0, 0, 0)};
  for (int64_t s = 0; s < samples; ++s) {
    const int64_t length = begin[s + 1] - begin[s];
    if (length == 0) continue;
    const auto part = [&](const at::Tensor& x) { return x.narrow(0, begin[s], length); };
    rows.push_back(attend(part(q), part(k), part(v), shape.causal, shape.window));
  }
  rows.push_back(at::zeros({tokens - begin[samples], queries, shape.head_dim}, heads.options()));
  return at::cat(rows).to(qkv.scalar_type()).reshape({tokens, queries * shape.head_dim});
}

void append_to_cache(const at::Tensor& qkv, const at::Tensor& k_weight, const at::Tensor& positions,
                     const CachedRows& rows, const AttentionShape& shape) {
  const at::NoGradGuard no_gradient;
  const int64_t queries = shape.query_heads, keys = shape.key_value_heads, tokens = qkv.size(0);
  const at::Tensor heads = widen(qkv).view({tokens, queries + 2 * keys, shape.head_dim});
  const Turn turn = turn_of(shape, positions, at::zeros({1}, at::kInt), tokens);
  const at::Tensor k = prepare(heads.narrow(1, queries, keys), k_weight, turn, shape.qk_norm_eps);
  const at::Tensor v = heads.narrow(1, queries + keys, keys);
  const auto *slot = rows.slots.const_data_ptr<int64_t>(),
             *place = rows.places.const_data_ptr<int64_t>();
  for (int64_t t = 0; t < tokens; ++t) {
    const auto put = [&](const at::Tensor& cache, const at::Tensor& value) {
      cache.select(0, slot[t])
          .select(1, place[t] / kCachePanel)
          .select(2, place[t] % kCachePanel)
          .copy_(value[t]);
    };
    put(rows.keys, k);
    put(rows.values, v);
  }
}

at::Tensor cached_attention(const at::Tensor& qkv, const at::Tensor& q_weight,
                            const at::Tensor& positions, const CachedRows& rows,
                            const AttentionShape& shape) {
  const at::NoGradGuard no_gradient;
  const int64_t queries = shape.query_heads, keys = shape.key_value_heads, tokens = qkv.size(0);
  const at::Tensor heads = widen(qkv).view({tokens, queries + 2 * keys, shape.head_dim});
  const Turn turn = turn_of(shape, positions, at::zeros({1}, at::kInt), tokens);
  const at::Tensor q = prepare(heads.narrow(1, 0, queries), q_weight, turn, shape.qk_norm_eps);
  const auto *slot = rows.slots.const_data_ptr<int64_t>(),
             *place = rows.places.const_data_ptr<int64_t>();
  const at::Tensor out = at::empty({tokens, queries * shape.head_dim}, qkv.options());
  for (int64_t t = 0; t < tokens; ++t) {
    const int64_t seen = shape.window > 0 ? std::min(shape.window, place[t] + 1) : place[t] + 1;
    const auto read = [&](const at::Tensor& cache) {  // [seen, K, H]
      return widen(cache.select(0, slot[t])
                       .permute({1, 3, 0, 2})
                       .flatten(0, 1)
                       .narrow(0, place[t] + 1 - seen, seen));
    };
    const at::Tensor mixed =
        attend(q.narrow(0, t, 1), read(rows.keys), read(rows.values), /*causal=*/false,
               /*window=*/0);
    out[t].copy_(mixed.reshape({queries * shape.head_dim}));
  }
  return out;
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  const at::Tensor wide = widen(x);
  return (wide * at::rsqrt(wide.square().mean(-1, true) + epsilon) * widen(weight))
      .to(x.scalar_type());
}

at::Tensor swiglu(const at::Tensor& gate_up) {
  const int64_t width = gate_up.size(1) / 2;
  const at::Tensor wide = widen(gate_up);
  return (at::silu(wide.narrow(1, 0, width)) * wide.narrow(1, width, width))
      .to(gate_up.scalar_type());
}

at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                                const at::Tensor& labels, const at::Tensor& label_weights,
                                double scale, at::Tensor* losses_out, at::Tensor* correct_out) {
  const at::Tensor logits = at::matmul(widen(hidden), widen(weight).t());
  const at::Tensor counted = labels.ge(0);
  const at::Tensor chosen = logits.gather(1, labels.clamp_min(0).unsqueeze(1)).squeeze(1);
  at::Tensor losses = (logits.logsumexp(1) - chosen) * counted;
  if (losses_out) *losses_out = losses.detach().to(at::kFloat);
  if (correct_out) *correct_out = logits.argmax(1).eq(labels).to(at::kByte);
  if (label_weights.defined()) losses = losses * label_weights.to(losses.scalar_type());
  return losses.sum() * scale;
}

at::Tensor moe_experts(const at::Tensor& x, const at::Tensor& gates, const at::Tensor& chosen,
                       const at::Tensor& gate_up, const at::Tensor& down) {
  at::Tensor out = at::zeros(x.sizes(), widen(x).options());
  for (int64_t expert = 0; expert < gate_up.size(0); ++expert) {
    const at::Tensor where = chosen.eq(expert).nonzero();  // [rows, 2]: token, choice
    const at::Tensor token = where.select(1, 0), choice = where.select(1, 1);
    const at::Tensor hidden = swiglu(at::matmul(x.index_select(0, token), gate_up[expert].t()));
    const at::Tensor gate = gates.index({token, choice}).unsqueeze(1);
    out = out.index_add(0, token, widen(at::matmul(hidden, down[expert].t())) * widen(gate));
  }
  return out.to(x.scalar_type());
}

at::Tensor embedding(const at::Tensor& weight, const at::Tensor& ids) {
  return at::embedding(weight, ids);
}

}  // namespace veomni::kernels::reference
