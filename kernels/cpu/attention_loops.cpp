// Attention of one sample and one key-value head, in blocks that stay in the caches: scores exist
// for 16 queries at a time (Dao et al. 2022, arXiv:2205.14135).
#include "kernels/cpu/attention_head.h"

namespace veomni::kernels::VEOMNI_ISA {
namespace {

/// Running softmax state of the block's queries.
struct Softmax {
  Vec top[kQueryVectors], sum[kQueryVectors], rescale[kQueryVectors];
};

/// scores [keys, B] become 2^(score - top); those a query may not see become 0.
template <class T>
void softmax_block(const Head<T>& head, int64_t q0, int64_t k0, int64_t keys, float* scores,
                   Softmax& state) {
  const OpenKeys open(head.args, q0, k0, keys);
  const Vec never = splat(-__builtin_inff());
  for (int v = 0; v < kQueryVectors; ++v) {
    float* column = scores + v * kLanes;
    Vec top = state.top[v];
    const auto hide = [&](int64_t k) {
      const Vec score = sees(head.args, q0, v, k0 + k) ? load(column + k * kQueries) : never;
      save(column + k * kQueries, score);
      top = larger(score, top);
    };
    for (int64_t k = 0; k < open.begin; ++k) hide(k);
    for (int64_t k = open.begin; k < open.end; ++k) top = larger(load(column + k * kQueries), top);
    for (int64_t k = open.end; k < keys; ++k) hide(k);
    Vec sum = {};
    for (int64_t k = 0; k < keys; ++k) {
      const Vec value = exponential2(load(column + k * kQueries) - top);
      sum += value;
      save(column + k * kQueries, value);
    }
    state.rescale[v] = exponential2(state.top[v] - top);
    state.sum[v] = state.sum[v] * state.rescale[v] + sum;
    state.top[v] = top;
  }
}

inline float lane(const Vec* vectors, int64_t query) {
  float values[kQueries];
  __builtin_memcpy(values, vectors, sizeof(values));
  return values[query];
}

template <class T>
void store_outputs(const Head<T>& head, int64_t q0, int64_t query_head, const Softmax& state,
                   const float* sums) {
  const int64_t count = smaller(kQueries, head.length - q0);
  float tops[kQueries], inverses[kQueries];
  for (int v = 0; v < kQueryVectors; ++v) {
    save(tops + v * kLanes, state.top[v]);
    save(inverses + v * kLanes, 1.f / state.sum[v]);
  }
  for (int64_t r = 0; r < count; ++r) {
    T* out = static_cast<T*>(head.args.out) + head.out_offset(q0 + r, query_head);
    scale_row(sums + r * head.padded, head.dim, inverses[r], out);
    float* softmax = head.softmax(q0 + r, query_head);
    softmax[0] = tops[r];
    softmax[1] = inverses[r];
  }
}

template <class T>
void forward_block(const Head<T>& head, int64_t q0, int64_t query_head, Arena arena) {
  float* rows = arena.take(kQueries * head.padded);
  float* columns = arena.take(kQueries * head.padded);
  float* sums = arena.take(kQueries * head.padded);
  float* scores = arena.take(kQueries * kForwardKeys);
  load_queries(head, q0, query_head, rows);
  transpose_block(head, rows, columns);
  Softmax state;
  for (int v = 0; v < kQueryVectors; ++v)
    state.top[v] = splat(-__builtin_inff()), state.sum[v] = Vec{};
  const int64_t begin = head.key_begin(q0), end = head.key_end(q0);
  for (int64_t k0 = begin; k0 < end; k0 += kForwardKeys) {
    const int64_t keys = smaller(kForwardKeys, end - k0);
    score_block(head, head.keys + k0 * head.padded, columns, keys, scores);
    softmax_block(head, q0, k0, keys, scores, state);
    if (k0 > begin)
      for (int64_t r = 0; r < kQueries; ++r) {
        const float factor = lane(state.rescale, r);
        for (int64_t h = 0; h < head.padded; h += kLanes)
          save(sums + r * head.padded + h, load(sums + r * head.padded + h) * factor);
      }
    multiply({.a = scores,
              .a_row = 1,
              .a_depth = kQueries,
              .b = head.values + k0 * head.padded,
              .b_depth = head.padded,
              .b_panel = kPanel,
              .c = sums,
              .c_row = head.padded,
              .rows = kQueries,
              .cols = head.padded,
              .depth = keys,
              .add = k0 > begin});
  }
  store_outputs(head, q0, query_head, state, sums);
}

template <class T>
void forward(const AttentionArgs& args, int64_t sample, int64_t kv_head, float* scratch) {
  Head<T> head(args, sample, kv_head);
  if (head.length == 0) return;
  Arena arena{scratch};
  head.keys = arena.take(tiled(head.length) * head.padded);
  head.values = arena.take(tiled(head.length) * head.padded);
  load_keys_and_values(head);
  for (int64_t g = 0; g < head.group; ++g)
    for (int64_t q0 = 0; q0 < head.length; q0 += kQueries)
      forward_block(head, q0, head.query_head(g), arena);
}

void attention_forward(const AttentionArgs& args, int64_t sample, int64_t head, float* scratch) {
  args.scalar == Scalar::f32 ? forward<float>(args, sample, head, scratch)
                             : forward<Bf16>(args, sample, head, scratch);
}

/// What backward takes; forward needs less.
int64_t attention_scratch(int64_t length, int64_t head_dim) {
  const int64_t padded = round_up(head_dim, 16);
  const int64_t sample = 4 * round_up(length, 16) * padded;
  return sample + 5 * kQueries * padded + 2 * kQueries * kBackwardKeys + kQueries * kForwardKeys +
         16 * 16;
}

}  // namespace

void fill_attention(Loops& loops) {
  loops.attention_forward = attention_forward;
  loops.attention_scratch = attention_scratch;
}

}  // namespace veomni::kernels::VEOMNI_ISA
