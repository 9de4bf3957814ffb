// Gradient of attention for one sample and one key-value head; the probabilities are recomputed
// from the logarithm of the softmax denominator (Dao et al. 2022, arXiv:2205.14135).
#include "kernels/cpu/attention_head.h"

namespace veomni::kernels::VEOMNI_ISA {
namespace {

/// What backward keeps for a whole sample beside Head.
struct Gradients {
  const float *keys, *value_panels;
  float *d_keys, *d_values;  // [L in whole panels, Hp]
  float* d_weights;          // [2H] or null
};

/// d_out rows of the block, and delta = Σ_h d_out · out, the row sums of P ∘ dP.
template <class T>
void load_d_outputs(const Head<T>& head, int64_t q0, int64_t query_head, float* rows,
                    float* delta) {
  const int64_t count = smaller(kQueries, head.length - q0);
  for (int64_t r = 0; r < count; ++r) {
    const int64_t offset = head.out_offset(q0 + r, query_head);
    const T* d_out = static_cast<const T*>(head.args.d_out) + offset;
    const T* out = static_cast<const T*>(head.args.out) + offset;
    copy_row(d_out, head.dim, head.padded, rows + r * head.padded);
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t h = 0; h < head.dim; ++h) sum += to_float(d_out[h]) * to_float(out[h]);
    delta[r] = sum;
  }
  clear(rows + count * head.padded, (kQueries - count) * head.padded);
}

/// scores → P, d_scores (dP) → dS = P ∘ (dP − delta); the first `count` columns count, the others become 0.
/// softmax: the row's largest exponent and the inverse of its denominator.
inline void softmax_backward_row(float* scores, float* d_scores, int64_t count, int64_t width,
                                 const float* softmax, float delta) {
  const int64_t whole = round_up(count, kLanes);
  const float top = softmax[0], inverse = softmax[1];
  for (int64_t k = 0; k < whole; k += kLanes) {
    const Vec p = exponential2(load(scores + k) - top) * inverse;
    save(scores + k, p);
    save(d_scores + k, p * (load(d_scores + k) - delta));
  }
  for (int64_t k = count; k < whole; ++k) scores[k] = d_scores[k] = 0;
  for (int64_t k = whole; k < width; k += kLanes) {
    save(scores + k, Vec{});
    save(d_scores + k, Vec{});
  }
}

template <class T>
void backward_block(const Head<T>& head, const Gradients& g, int64_t q0, int64_t query_head,
                    Arena arena) {
  const int64_t padded = head.padded, count = smaller(kQueries, head.length - q0);
  float* rows = arena.take(kQueries * padded);
  float* d_rows = arena.take(kQueries * padded);
  float* d_queries = arena.take(kQueries * padded);
  float* scores = arena.take(kQueries * kScoreRow);
  float* d_scores = arena.take(kQueries * kScoreRow);
  float delta[kQueries];
  load_queries(head, q0, query_head, rows);
  load_d_outputs(head, q0, query_head, d_rows, delta);
  const int64_t end = head.key_end(q0 + kQueries);
  for (int64_t k0 = 0; k0 < end; k0 += kBackwardKeys) {
    const int64_t keys = smaller(kBackwardKeys, end - k0), width = round_up(keys, kLanes);
    score_block(head, rows, head.key_panels, k0, keys, scores);
    score_block(head, d_rows, g.value_panels, k0, keys, d_scores);
    for (int64_t r = 0; r < count; ++r)
      softmax_backward_row(scores + r * kScoreRow, d_scores + r * kScoreRow,
                           head.visible(q0 + r, k0, keys), width, head.softmax(q0 + r, query_head),
                           delta[r]);
    Product by_keys{.a = scores,
                    .a_row = 1,
                    .a_depth = kScoreRow,
                    .b = d_rows,
                    .b_depth = padded,
                    .b_panel = kPanel,
                    .c = g.d_values + k0 * padded,
                    .c_row = padded,
                    .rows = keys,
                    .cols = padded,
                    .depth = count,
                    .add = true};
    multiply(by_keys);
    by_keys.a = d_scores, by_keys.b = rows, by_keys.c = g.d_keys + k0 * padded;
    multiply(by_keys);
    multiply({.a = d_scores,
              .a_row = kScoreRow,
              .a_depth = 1,
              .b = g.keys + k0 * padded,
              .b_depth = padded,
              .b_panel = kPanel,
              .c = d_queries,
              .c_row = padded,
              .rows = round_up(count, kTileRows),
              .cols = padded,
              .depth = keys,
              .add = k0 > 0});
  }
  for (int64_t r = 0; r < count; ++r) {
    const int64_t offset = head.query_offset(q0 + r, query_head);
    finish_row(d_queries + r * padded, head.query, head.begin + q0 + r, head.scale,
               head.qkv(offset), static_cast<T*>(head.args.d_qkv) + offset, g.d_weights);
  }
}

/// Gradients of the keys and values, summed over the queries of the group, leave for d_qkv.
template <class T>
void finish_keys(const Head<T>& head, const Gradients& g) {
  T* d_qkv = static_cast<T*>(head.args.d_qkv);
  for (int64_t t = 0; t < head.length; ++t) {
    const int64_t offset = head.key_offset(t);
    finish_row(g.d_keys + t * head.padded, head.key, head.begin + t, kLn2, head.qkv(offset),
               d_qkv + offset, g.d_weights ? g.d_weights + head.dim : nullptr);
    T* d_value = d_qkv + head.value_offset(t);
    const float* row = g.d_values + t * head.padded;
#pragma omp simd
    for (int64_t h = 0; h < head.dim; ++h) store(d_value + h, row[h]);
  }
}

template <class T>
void backward(const AttentionArgs& args, int64_t sample, int64_t kv_head, float* scratch) {
  Head<T> head(args, sample, kv_head);
  float* d_weights = args.d_weights
                         ? args.d_weights + (sample * args.key_value_heads + kv_head) * 2 * head.dim
                         : nullptr;
  if (d_weights) clear(d_weights, 2 * head.dim);
  if (head.length == 0) return;
  const int64_t whole = round_up(head.length, kPanel), rows = whole * head.padded;
  Arena arena{scratch};
  float *keys = arena.take(rows), *value_panels = arena.take(whole * head.transposed);
  head.values = arena.take(rows);
  head.key_panels = arena.take(whole * head.transposed);
  load_keys_and_values(head, keys, head.values);
  transpose_rows(head, keys, head.key_panels);
  transpose_rows(head, head.values, value_panels);
  Gradients gradients{keys, value_panels, arena.take(rows), arena.take(rows), d_weights};
  clear(gradients.d_keys, rows);
  clear(gradients.d_values, rows);
  for (int64_t g = 0; g < head.group; ++g)
    for (int64_t q0 = 0; q0 < head.length; q0 += kQueries)
      backward_block(head, gradients, q0, head.query_head(g), arena);
  finish_keys(head, gradients);
}

void attention_backward(const AttentionArgs& args, int64_t sample, int64_t head, float* scratch) {
  args.scalar == Scalar::f32 ? backward<float>(args, sample, head, scratch)
                             : backward<Bf16>(args, sample, head, scratch);
}

}  // namespace

void fill_attention_backward(Loops& loops) { loops.attention_backward = attention_backward; }

}  // namespace veomni::kernels::VEOMNI_ISA
