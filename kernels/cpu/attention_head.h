#pragma once
// What attention's forward and backward share: the head, its rows, and blocks of scores with the queries in the lanes
// of a vector, so that softmax needs no sums across lanes. Only for *_loops.cpp.
// L tokens of the sample, H head size, Hp = H in whole vectors, B = kQueries

#include "kernels/cpu/attention_rows.h"

namespace veomni::kernels::VEOMNI_ISA {

constexpr int64_t kQueries = 16;  // of one block
constexpr int kQueryVectors = kQueries / kLanes;
constexpr int64_t kForwardKeys = 256;   // of one block: 16 KB of scores
constexpr int64_t kBackwardKeys = 128;  // there are two such blocks in backward
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
  int64_t dim, padded;  // H, Hp
  int64_t begin, length, kv_head, group, qkv_row, out_row;
  float scale;
  RowMap query, key;
  float *keys, *values;  // [L in whole tiles, Hp]

  Head(const AttentionArgs& a, int64_t sample, int64_t head)
      : args(a),
        dim(a.head_dim),
        padded(round_up(dim, kLanes)),
        begin(a.cu_seqlens[sample]),
        length(a.cu_seqlens[sample + 1] - begin),
        kv_head(head),
        group(a.query_heads / a.key_value_heads),
        qkv_row((a.query_heads + 2 * a.key_value_heads) * dim),
        out_row(a.query_heads * dim),
        scale(1.f / __builtin_sqrtf(static_cast<float>(dim))),
        query{dim, padded, a.q_weight, a.qk_norm_eps, &a},
        key{dim, padded, a.k_weight, a.qk_norm_eps, &a},
        keys(nullptr),
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
  /// Keys that queries of the block at q0 may see are [key_begin, key_end); it begins with a tile, for products make whole
  /// ones.
  int64_t key_begin(int64_t q0) const {
    return args.window > 0 ? larger(0, q0 + 1 - args.window) / kTileRows * kTileRows : 0;
  }
  int64_t key_end(int64_t q0) const {
    return args.causal ? smaller(q0 + kQueries, length) : length;
  }
};

template <class T>
void copy_row(const T* raw, int64_t dim, int64_t padded, float* row) {
  scale_row(raw, dim, 1.f, row);
  for (int64_t h = dim; h < padded; ++h) row[h] = 0;
}

inline void clear(float* p, int64_t count) {
  __builtin_memset(p, 0, static_cast<uint64_t>(count) * sizeof(float));
}

/// Rows of whole tiles.
inline int64_t tiled(int64_t rows) { return round_up(rows, kTileRows); }

/// Fills key rows and values, zero past L.
template <class T>
void load_keys_and_values(const Head<T>& head) {
  for (int64_t t = 0; t < head.length; ++t) {
    load_row(head.qkv(head.key_offset(t)), head.key, head.begin + t, 1.f,
             head.keys + t * head.padded);
    copy_row(head.qkv(head.value_offset(t)), head.dim, head.padded, head.values + t * head.padded);
  }
  const int64_t rest = (tiled(head.length) - head.length) * head.padded;
  clear(head.keys + head.length * head.padded, rest);
  clear(head.values + head.length * head.padded, rest);
}

/// Queries [B, Hp] from token q0 on, scaled so that scores are exponents of 2; zero past the sample.
template <class T>
void load_queries(const Head<T>& head, int64_t q0, int64_t query_head, float* rows) {
  const int64_t count = smaller(kQueries, head.length - q0);
  for (int64_t r = 0; r < count; ++r)
    load_row(head.qkv(head.query_offset(q0 + r, query_head)), head.query, head.begin + q0 + r,
             head.scale * kLog2E, rows + r * head.padded);
  clear(rows + count * head.padded, (kQueries - count) * head.padded);
}

/// rows [B, Hp] → columns [Hp, B]
template <class T>
void transpose_block(const Head<T>& head, const float* rows, float* columns) {
  transpose<kQueries, kQueries>(rows, head.padded, head.padded, columns);
}

/// block [keys in whole tiles, B] = rows of keys · columns: entry [k, q] belongs to key k and query q.
template <class T>
void score_block(const Head<T>& head, const float* rows, const float* columns, int64_t keys,
                 float* block) {
  const Product p{.a = rows,
                  .a_row = head.padded,
                  .a_depth = 1,
                  .b = columns,
                  .b_depth = kQueries,
                  .b_panel = kPanel,
                  .c = block,
                  .c_row = kQueries,
                  .rows = tiled(keys),
                  .cols = kQueries,
                  .depth = head.dim,
                  .add = false};
  multiply(p);
}

/// Keys [begin, end) of a block that all its queries see; the others need sees().
struct OpenKeys {
  int64_t begin, end;
  OpenKeys(const AttentionArgs& args, int64_t q0, int64_t k0, int64_t keys)
      : begin(args.window > 0 ? smaller(keys, larger(0, q0 + kQueries - args.window - k0)) : 0),
        end(larger(begin, args.causal ? smaller(keys, larger(0, q0 + 1 - k0)) : keys)) {}
};

/// The lanes of query vector v whose queries may see key `key`: all ones or zero.
inline IntVec sees(const AttentionArgs& args, int64_t q0, int v, int64_t key) {
  IntVec lane;
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
  const int first = static_cast<int>(key - q0) - v * kLanes;
  if (args.window == 0) return lane >= first;
  const int64_t past = first + args.window;  // kept small: the lanes are
  return (lane >= first) & (lane < static_cast<int>(smaller(past, kQueries)));
}

}  // namespace veomni::kernels::VEOMNI_ISA
