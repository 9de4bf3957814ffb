#pragma once
// What attention's forward and backward share: the head, its rows and its blocks of scores. Only
// for *_loops.cpp. L tokens of the sample, H head size, Hp = H in whole vectors

#include "kernels/cpu/attention_rows.h"
#include "kernels/cpu/tile.h"

namespace veomni::kernels::VEOMNI_ISA {

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
  float* softmax(int64_t token, int64_t head) const {
    return args.softmax + ((begin + token) * args.query_heads + head) * 2;
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

}  // namespace veomni::kernels::VEOMNI_ISA
