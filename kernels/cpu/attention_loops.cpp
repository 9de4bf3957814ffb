// Attention of one sample and one key-value head, in blocks that stay in the caches. Probabilities
// exist for 16 queries at a time; backward recomputes them from the logarithm of the denominator
// (Dao et al. 2022, arXiv:2205.14135). L tokens of the sample, H head size, Hp = H in whole vectors
#include "kernels/cpu/attention_rows.h"
#include "kernels/cpu/tile.h"

namespace veomni::kernels::VEOMNI_ISA {
namespace {

constexpr int64_t kQueries = 16;        // rows of one block of scores
constexpr int64_t kForwardKeys = 256;   // columns of it: 16 KB of scores
constexpr int64_t kBackwardKeys = 128;  // there are two such blocks in backward
constexpr int64_t kScoreRow = kForwardKeys + kLanes;
constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

/// Hands out the scratch memory in pieces that begin at whole vectors.
struct Arena {
  float* next;
  float* take(int64_t count) {
    float* piece = next;
    next += round_up(count, 16);
    return piece;
  }
};

/// The sample, the head and the buffers both directions share.
template <class T>
struct Head {
  const AttentionArgs& args;
  int64_t dim, padded, transposed;  // H, Hp, and H rounded up to 4: rows of a transposed panel
  int64_t begin, length, kv_head, group, qkv_row, out_row;
  float scale;
  RowMap query, key;
  float *key_panels, *values;  // [L / kPanel, transposed, kPanel], [L, Hp]

  Head(const AttentionArgs& a, int64_t sample, int64_t head)
      : args(a),
        dim(a.head_dim),
        padded(round_up(dim, kLanes)),
        transposed(round_up(dim, 4)),
        begin(a.cu_seqlens[sample]),
        length(a.cu_seqlens[sample + 1] - begin),
        kv_head(head),
        group(a.query_heads / a.key_value_heads),
        qkv_row((a.query_heads + 2 * a.key_value_heads) * dim),
        out_row(a.query_heads * dim),
        scale(1.f / __builtin_sqrtf(static_cast<float>(dim))),
        query{dim, padded, a.q_weight, a.qk_norm_eps, &a},
        key{dim, padded, a.k_weight, a.qk_norm_eps, &a},
        key_panels(nullptr),
        values(nullptr) {}

  int64_t query_head(int64_t g) const { return kv_head * group + g; }
  int64_t key_offset(int64_t token) const {
    return (begin + token) * qkv_row + (args.query_heads + kv_head) * dim;
  }
  int64_t value_offset(int64_t token) const {
    return key_offset(token) + args.key_value_heads * dim;
  }
  int64_t query_offset(int64_t token, int64_t head) const {
    return (begin + token) * qkv_row + head * dim;
  }
  int64_t out_offset(int64_t token, int64_t head) const {
    return (begin + token) * out_row + head * dim;
  }
  const T* qkv(int64_t offset) const { return static_cast<const T*>(args.qkv) + offset; }
  /// Keys that the queries [.., q_end) may see.
  int64_t key_end(int64_t q_end) const { return args.causal ? smaller(q_end, length) : length; }
  /// Keys of the block at k0 that query q may see.
  int64_t visible(int64_t q, int64_t k0, int64_t keys) const {
    return args.causal ? larger(0, smaller(keys, q + 1 - k0)) : keys;
  }
};

template <class T>
void copy_row(const T* raw, int64_t dim, int64_t padded, float* row) {
#pragma omp simd
  for (int64_t h = 0; h < dim; ++h) row[h] = to_float(raw[h]);
  for (int64_t h = dim; h < padded; ++h) row[h] = 0;
}

inline void clear(float* p, int64_t count) {
  __builtin_memset(p, 0, static_cast<uint64_t>(count) * sizeof(float));
}

/// rows [L in whole panels, Hp] → panels [L / kPanel, transposed, kPanel]
template <class T>
void transpose_rows(const Head<T>& head, const float* rows, float* panels) {
  for (int64_t t = 0; t < head.length; t += kPanel)
    transpose_panel(rows + t * head.padded, head.padded, head.dim, panels + t * head.transposed);
}

/// Fills key rows and values [L in whole panels, Hp], zero past L.
template <class T>
void load_keys_and_values(const Head<T>& head, float* keys, float* values) {
  for (int64_t t = 0; t < head.length; ++t) {
    load_row(head.qkv(head.key_offset(t)), head.key, head.begin + t, 1.f, keys + t * head.padded);
    copy_row(head.qkv(head.value_offset(t)), head.dim, head.padded, values + t * head.padded);
  }
  const int64_t rest = (round_up(head.length, kPanel) - head.length) * head.padded;
  clear(keys + head.length * head.padded, rest);
  clear(values + head.length * head.padded, rest);
}

/// queries [kQueries, Hp] from token q0 on, scaled so that scores are exponents of 2; zero past the
/// sample.
template <class T>
void load_queries(const Head<T>& head, int64_t q0, int64_t query_head, float* rows) {
  const int64_t count = smaller(kQueries, head.length - q0);
  for (int64_t r = 0; r < count; ++r)
    load_row(head.qkv(head.query_offset(q0 + r, query_head)), head.query, head.begin + q0 + r,
             head.scale * kLog2E, rows + r * head.padded);
  clear(rows + count * head.padded, (kQueries - count) * head.padded);
}

/// block [kQueries, keys] = rows · panelsᵀ from key k0 on
template <class T>
void score_block(const Head<T>& head, const float* rows, const float* panels, int64_t k0,
                 int64_t keys, float* block) {
  multiply({.a = rows,
            .a_row = head.padded,
            .a_depth = 1,
            .b = panels + k0 * head.transposed,
            .b_depth = kPanel,
            .b_panel = head.transposed * kPanel,
            .c = block,
            .c_row = kScoreRow,
            .rows = kQueries,
            .cols = round_up(keys, kLanes),
            .depth = head.dim,
            .add = false});
}

/// Running softmax state of kQueries rows.
struct Softmax {
  float top[kQueries], sum[kQueries], rescale[kQueries];
};

/// row [width] becomes 2^(row - top); the first `count` columns count, the others become 0.
inline void softmax_row(float* row, int64_t count, int64_t width, Softmax& state, int64_t r) {
  for (int64_t k = count; k < width; ++k) row[k] = -__builtin_inff();
  float top = state.top[r];
#pragma omp simd reduction(max : top)
  for (int64_t k = 0; k < width; ++k) top = row[k] > top ? row[k] : top;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t k = 0; k < width; ++k) {
    row[k] = exponential2(row[k] - top);
    sum += row[k];
  }
  state.rescale[r] = exponential2(state.top[r] - top);
  state.sum[r] = state.sum[r] * state.rescale[r] + sum;
  state.top[r] = top;
}

template <class T>
void store_outputs(const Head<T>& head, int64_t q0, int64_t query_head, const Softmax& state,
                   const float* sums) {
  const int64_t count = smaller(kQueries, head.length - q0);
  for (int64_t r = 0; r < count; ++r) {
    const float inverse = 1.f / state.sum[r], *row = sums + r * head.padded;
    T* out = static_cast<T*>(head.args.out) + head.out_offset(q0 + r, query_head);
#pragma omp simd
    for (int64_t h = 0; h < head.dim; ++h) store(out + h, row[h] * inverse);
    head.args.lse[(head.begin + q0 + r) * head.args.query_heads + query_head] =
        state.top[r] + __builtin_log2f(state.sum[r]);
  }
}

template <class T>
void forward_block(const Head<T>& head, int64_t q0, int64_t query_head, Arena arena) {
  float* rows = arena.take(kQueries * head.padded);
  float* sums = arena.take(kQueries * head.padded);
  float* scores = arena.take(kQueries * kScoreRow);
  load_queries(head, q0, query_head, rows);
  Softmax state;
  for (int64_t r = 0; r < kQueries; ++r) state.top[r] = -__builtin_inff(), state.sum[r] = 0;
  const int64_t end = head.key_end(q0 + kQueries);
  for (int64_t k0 = 0; k0 < end; k0 += kForwardKeys) {
    const int64_t keys = smaller(kForwardKeys, end - k0), width = round_up(keys, kLanes);
    score_block(head, rows, head.key_panels, k0, keys, scores);
    for (int64_t r = 0; r < kQueries; ++r)
      softmax_row(scores + r * kScoreRow, head.visible(q0 + r, k0, keys), width, state, r);
    if (k0 > 0)
      for (int64_t r = 0; r < kQueries; ++r)
#pragma omp simd
        for (int64_t h = 0; h < head.padded; ++h) sums[r * head.padded + h] *= state.rescale[r];
    multiply({.a = scores,
              .a_row = kScoreRow,
              .a_depth = 1,
              .b = head.values + k0 * head.padded,
              .b_depth = head.padded,
              .b_panel = kPanel,
              .c = sums,
              .c_row = head.padded,
              .rows = kQueries,
              .cols = head.padded,
              .depth = keys,
              .add = k0 > 0});
  }
  store_outputs(head, q0, query_head, state, sums);
}

template <class T>
void forward(const AttentionArgs& args, int64_t sample, int64_t kv_head, float* scratch) {
  Head<T> head(args, sample, kv_head);
  if (head.length == 0) return;
  const int64_t whole = round_up(head.length, kPanel);
  Arena arena{scratch};
  float* keys = arena.take(whole * head.padded);
  head.values = arena.take(whole * head.padded);
  head.key_panels = arena.take(whole * head.transposed);
  load_keys_and_values(head, keys, head.values);
  transpose_rows(head, keys, head.key_panels);
  for (int64_t g = 0; g < head.group; ++g)
    for (int64_t q0 = 0; q0 < head.length; q0 += kQueries)
      forward_block(head, q0, head.query_head(g), arena);
}

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

/// scores → P, d_scores (dP) → dS = P ∘ (dP − delta), zero where the query may not see the key.
inline void softmax_backward_row(float* scores, float* d_scores, int64_t count, int64_t width,
                                 float lse, float delta) {
#pragma omp simd
  for (int64_t k = 0; k < width; ++k) {
    const float p = k < count ? exponential2(scores[k] - lse) : 0.f;
    scores[k] = p;
    d_scores[k] = p * (d_scores[k] - delta);
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
  const float* lse = head.args.lse + (head.begin + q0) * head.args.query_heads + query_head;
  const int64_t end = head.key_end(q0 + kQueries);
  for (int64_t k0 = 0; k0 < end; k0 += kBackwardKeys) {
    const int64_t keys = smaller(kBackwardKeys, end - k0), width = round_up(keys, kLanes);
    score_block(head, rows, head.key_panels, k0, keys, scores);
    score_block(head, d_rows, g.value_panels, k0, keys, d_scores);
    for (int64_t r = 0; r < count; ++r)
      softmax_backward_row(scores + r * kScoreRow, d_scores + r * kScoreRow,
                           head.visible(q0 + r, k0, keys), width, lse[r * head.args.query_heads],
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

void attention_forward(const AttentionArgs& args, int64_t sample, int64_t head, float* scratch) {
  args.scalar == Scalar::f32 ? forward<float>(args, sample, head, scratch)
                             : forward<Bf16>(args, sample, head, scratch);
}

void attention_backward(const AttentionArgs& args, int64_t sample, int64_t head, float* scratch) {
  args.scalar == Scalar::f32 ? backward<float>(args, sample, head, scratch)
                             : backward<Bf16>(args, sample, head, scratch);
}

int64_t attention_scratch(int64_t length, int64_t head_dim) {
  const int64_t padded = round_up(head_dim, 16);
  const int64_t sample = 6 * round_up(length, 32) * padded;
  return sample + 3 * kQueries * padded + 2 * kQueries * kScoreRow + 16 * 16;
}

}  // namespace

void fill_attention(Loops& loops) {
  loops.attention_forward = attention_forward;
  loops.attention_backward = attention_backward;
  loops.attention_scratch = attention_scratch;
}

}  // namespace veomni::kernels::VEOMNI_ISA
