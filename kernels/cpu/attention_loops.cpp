// Attention of one sample and one key-value head, in blocks that stay in the caches: scores exist
// for 16 queries at a time (Dao et al. 2022, arXiv:2205.14135).
#include "kernels/cpu/attention_head.h"

namespace veomni::kernels::VEOMNI_ISA {
namespace {

/// Running softmax state of kQueries rows.
struct Softmax {
  float top[kQueries], sum[kQueries], rescale[kQueries];
};

/// row [width] becomes 2^(row - top); the first `count` columns count, the others become 0.
inline void softmax_row(float* row, int64_t count, int64_t width, Softmax& state, int64_t r) {
  const int64_t whole = round_up(count, kLanes);
  for (int64_t k = count; k < whole; ++k) row[k] = -__builtin_inff();
  Vec tops = splat(state.top[r]), sums = {};
  for (int64_t k = 0; k < whole; k += kLanes) tops = larger(load(row + k), tops);
  const float top = reduce(tops, [](Vec a, Vec b) { return larger(a, b); });
  for (int64_t k = 0; k < whole; k += kLanes) {
    const Vec value = exponential2(load(row + k) - top);
    sums += value;
    save(row + k, value);
  }
  for (int64_t k = whole; k < width; k += kLanes) save(row + k, Vec{});
  state.rescale[r] = exponential2(state.top[r] - top);
  state.sum[r] = state.sum[r] * state.rescale[r] + reduce(sums, [](Vec a, Vec b) { return a + b; });
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
    float* softmax = head.softmax(q0 + r, query_head);
    softmax[0] = state.top[r];
    softmax[1] = inverse;
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

void attention_forward(const AttentionArgs& args, int64_t sample, int64_t head, float* scratch) {
  args.scalar == Scalar::f32 ? forward<float>(args, sample, head, scratch)
                             : forward<Bf16>(args, sample, head, scratch);
}

/// What backward takes; forward needs less.
int64_t attention_scratch(int64_t length, int64_t head_dim) {
  const int64_t padded = round_up(head_dim, 16);
  const int64_t sample = 6 * round_up(length, 32) * padded;
  return sample + 3 * kQueries * padded + 2 * kQueries * kScoreRow + 16 * 16;
}

}  // namespace

void fill_attention(Loops& loops) {
  loops.attention_forward = attention_forward;
  loops.attention_scratch = attention_scratch;
}

}  // namespace veomni::kernels::VEOMNI_ISA
