// Gradient of attention for one sample and one key-value head; the probabilities are recomputed
// from the logarithm of the softmax denominator (Dao et al. 2022, arXiv:2205.14135).
#include "kernels/cpu/attention_head.h"

namespace veomni::kernels::VEOMNI_ISA {
namespace {

/// What backward keeps for a whole sample beside Head.
struct Gradients {
  float *d_keys, *d_values;  // [L in whole tiles, Hp]
  float* d_weights;          // [2H] or null
};

/// Of the block's queries: largest exponent, inverse denominator, and delta = Σ_h d_out · out, the row sums of P ∘ dP.
struct QueryState {
  float top[kQueries], inverse[kQueries], delta[kQueries];
};

/// d_out rows of the block and what softmax's gradient takes of each query. Past the sample: zeros, whose probability
/// is 0 too.
template <class T>
void load_d_outputs(const Head<T>& head, int64_t q0, int64_t query_head, float* rows,
                    QueryState& state) {
  const int64_t count = smaller(kQueries, head.length - q0);
  for (int64_t r = 0; r < count; ++r) {
    const int64_t offset = head.out_offset(q0 + r, query_head);
    const T* d_out = static_cast<const T*>(head.args.d_out) + offset;
    copy_row(d_out, head.dim, head.padded, rows + r * head.padded);
    state.delta[r] = dot_row(d_out, static_cast<const T*>(head.args.out) + offset, head.dim);
    const float* softmax = head.softmax(q0 + r, query_head);
    state.top[r] = softmax[0];
    state.inverse[r] = softmax[1];
  }
  for (int64_t r = count; r < kQueries; ++r) state.top[r] = state.inverse[r] = state.delta[r] = 0;
  clear(rows + count * head.padded, (kQueries - count) * head.padded);
}

/// scores [keys, B] → P, d_scores (dP) → dS = P ∘ (dP − delta); both 0 where a query may not see the key.
template <class T>
void softmax_backward_block(const Head<T>& head, int64_t q0, int64_t k0, int64_t keys,
                            const QueryState& state, float* scores, float* d_scores) {
  const OpenKeys open(head.args, q0, k0, keys);
  for (int v = 0; v < kQueryVectors; ++v) {
    const Vec top = load(state.top + v * kLanes), inverse = load(state.inverse + v * kLanes),
              delta = load(state.delta + v * kLanes);
    const auto put = [&](int64_t k, Vec p) {
      float* d_at = d_scores + k * kQueries + v * kLanes;
      save(scores + k * kQueries + v * kLanes, p);
      save(d_at, p * (load(d_at) - delta));
    };
    const auto probability = [&](int64_t k) {
      return exponential2(load(scores + k * kQueries + v * kLanes) - top) * inverse;
    };
    const auto hide = [&](int64_t k) {
      put(k, sees(head.args, q0, v, k0 + k) ? probability(k) : Vec{});
    };
    for (int64_t k = 0; k < open.begin; ++k) hide(k);
    for (int64_t k = open.begin; k < open.end; ++k) put(k, probability(k));
    for (int64_t k = open.end; k < keys; ++k) hide(k);
  }
}

template <class T>
void backward_block(const Head<T>& head, const Gradients& g, int64_t q0, int64_t query_head,
                    Arena arena) {
  const int64_t padded = head.padded, count = smaller(kQueries, head.length - q0);
  float* rows = arena.take(kQueries * padded);
  float* d_rows = arena.take(kQueries * padded);
  float* columns = arena.take(kQueries * padded);
  float* d_columns = arena.take(kQueries * padded);
  float* d_queries = arena.take(kQueries * padded);
  float* scores = arena.take(kQueries * kBackwardKeys);
  float* d_scores = arena.take(kQueries * kBackwardKeys);
  QueryState state;
  load_queries(head, q0, query_head, rows);
  load_d_outputs(head, q0, query_head, d_rows, state);
  transpose_block(head, rows, columns);
  transpose_block(head, d_rows, d_columns);
  const int64_t begin = head.key_begin(q0), end = head.key_end(q0);
  for (int64_t k0 = begin; k0 < end; k0 += kBackwardKeys) {
    const int64_t keys = smaller(kBackwardKeys, end - k0);
    score_block(head, head.keys + k0 * padded, columns, keys, scores);
    score_block(head, head.values + k0 * padded, d_columns, keys, d_scores);
    softmax_backward_block(head, q0, k0, keys, state, scores, d_scores);
    Product by_keys{.a = scores,
                    .a_row = kQueries,
                    .a_depth = 1,
                    .b = d_rows,
                    .b_depth = padded,
                    .b_panel = kPanel,
                    .c = g.d_values + k0 * padded,
                    .c_row = padded,
                    .rows = tiled(keys),
                    .cols = padded,
                    .depth = count,
                    .add = true};
    multiply(by_keys);
    by_keys.a = d_scores, by_keys.b = rows, by_keys.c = g.d_keys + k0 * padded;
    multiply(by_keys);
    multiply({.a = d_scores,
              .a_row = 1,
              .a_depth = kQueries,
              .b = head.keys + k0 * padded,
              .b_depth = padded,
              .b_panel = kPanel,
              .c = d_queries,
              .c_row = padded,
              .rows = tiled(count),
              .cols = padded,
              .depth = keys,
              .add = k0 > begin});
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
    scale_row(g.d_values + t * head.padded, head.dim, 1.f, d_qkv + head.value_offset(t));
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
  const int64_t rows = tiled(head.length) * head.padded;
  Arena arena{scratch};
  head.keys = arena.take(rows);
  head.values = arena.take(rows);
  load_keys_and_values(head);
  const Gradients gradients{arena.take(rows), arena.take(rows), d_weights};
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
