// Attention of one new token over a cache of keys and values: kernels/cached_attention.h. A panel
// of the cache holds one dim of 16 positions side by side, so that every H fills whole vectors.
#include "kernels/cpu/attention_rows.h"
#include "kernels/cpu/generation_loops.h"
#include "kernels/cpu/wide.h"

namespace veomni::kernels::VEOMNI_ISA {
namespace {

constexpr int64_t kPositions = 16;  // of one panel
constexpr int kVectors = static_cast<int>(kPositions) / kLanes;
constexpr int kStreams = kLanes == 16 ? 4 : 1;  // panels read at a time
constexpr int kHeads = 4;                       // query heads that share a read, at most
constexpr float kLog2E = 1.44269504f;

/// One (token, key-value head).
template <class T>
struct Row {
  const CachedAttentionArgs& args;
  const AttentionArgs& a;
  int64_t token, head, dim, padded, group;
  int64_t before;          // positions in panels that the window has left behind
  int64_t hidden, length;  // of what remains: the token sees [hidden, length)
  int64_t panels;

  Row(const CachedAttentionArgs& all, int64_t its_token, int64_t its_head)
      : args(all),
        a(all.attention),
        token(its_token),
        head(its_head),
        dim(a.head_dim),
        padded(round_up(dim, kPositions)),
        group(a.query_heads / a.key_value_heads),
        before(panels_before(all)),
        hidden(first_seen(all) - before),
        length(all.places[token] + 1 - before),
        panels((length + kPositions - 1) / kPositions) {}

  int64_t first_seen(const CachedAttentionArgs& all) const {
    const int64_t window = all.attention.window, end = all.places[token] + 1;
    return window > 0 && window < end ? end - window : 0;
  }
  int64_t panels_before(const CachedAttentionArgs& all) const {
    return first_seen(all) / kPositions * kPositions;
  }
  RowMap map(const float* weight) const { return {dim, padded, weight, a.qk_norm_eps, &a}; }
  /// Head h of the token's qkv, counted over q, k and v.
  const T* raw(int64_t h) const {
    return static_cast<const T*>(a.qkv) +
           (token * (a.query_heads + 2 * a.key_value_heads) + h) * dim;
  }
  T* cache(void* base) const {
    return static_cast<T*>(base) +
           (args.slots[token] * a.key_value_heads + head) * args.capacity * dim;
  }
};

/// scores[g][positions of kCount panels] = q_g · k
template <int kGroup, int kCount, class T>
inline void score_panels(const T* keys, int64_t dim, const float* q, int64_t q_row, float* scores,
                         int64_t score_row) {
  Vec sums[kGroup][kCount * kVectors] = {};
  for (int64_t h = 0; h < dim; ++h)
    for (int p = 0; p < kCount; ++p)
      for (int v = 0; v < kVectors; ++v) {
        const Vec key = load_wide(keys + (p * dim + h) * kPositions + v * kLanes);
        for (int g = 0; g < kGroup; ++g) sums[g][p * kVectors + v] += q[g * q_row + h] * key;
      }
  for (int g = 0; g < kGroup; ++g)
    for (int v = 0; v < kCount * kVectors; ++v)
      save(scores + g * score_row + v * kLanes, sums[g][v]);
}

/// Weights of positions [hidden, length) from their scores (exponents of 2), in place, 0 of the others; returns 1 / their sum.
inline float softmax(float* scores, int64_t hidden, int64_t length, int64_t width) {
  for (int64_t t = 0; t < hidden; ++t) scores[t] = -__builtin_inff();
  for (int64_t t = length; t < width; ++t) scores[t] = -__builtin_inff();
  Vec tops = splat(-__builtin_inff()), sums = {};
  for (int64_t t = 0; t < width; t += kLanes) tops = larger(load(scores + t), tops);
  const float top = reduce(tops, [](Vec x, Vec y) { return larger(x, y); });
  for (int64_t t = 0; t < width; t += kLanes) {
    const Vec weight = exponential2(load(scores + t) - top);
    sums += weight;
    save(scores + t, weight);
  }
  return 1.f / reduce(sums, [](Vec x, Vec y) { return x + y; });
}

/// sums[g][kDims] = Σ over positions of weight · v, for the dims from `values` on.
template <int kGroup, int kDims, class T>
inline void mix_dims(const T* values, int64_t dim, int64_t panels, const float* weights,
                     int64_t weight_row, float (&out)[kGroup][kDims]) {
  Vec sums[kGroup][kDims] = {};
  for (int64_t p = 0; p < panels; ++p)
    for (int v = 0; v < kVectors; ++v)
      for (int h = 0; h < kDims; ++h) {
        const Vec value = load_wide(values + (p * dim + h) * kPositions + v * kLanes);
        for (int g = 0; g < kGroup; ++g)
          sums[g][h] += load(weights + g * weight_row + p * kPositions + v * kLanes) * value;
      }
  for (int g = 0; g < kGroup; ++g)
    for (int h = 0; h < kDims; ++h)
      out[g][h] = reduce(sums[g][h], [](Vec x, Vec y) { return x + y; });
}

template <int kGroup, class T>
void attend_heads(const Row<T>& row, int64_t first, float* scratch) {
  const int64_t width = row.panels * kPositions;
  float *q = scratch, *scores = scratch + kGroup * row.padded;
  const float scale = kLog2E / __builtin_sqrtf(static_cast<float>(row.dim));
  for (int g = 0; g < kGroup; ++g)
    load_row(row.raw(first + g), row.map(row.a.q_weight), row.token, scale, q + g * row.padded);
  const T* keys = row.cache(row.args.keys) + row.before * row.dim;
  int64_t panel = 0;
  for (; panel + kStreams <= row.panels; panel += kStreams)
    score_panels<kGroup, kStreams>(keys + panel * row.dim * kPositions, row.dim, q, row.padded,
                                   scores + panel * kPositions, width);
  for (; panel < row.panels; ++panel)
    score_panels<kGroup, 1>(keys + panel * row.dim * kPositions, row.dim, q, row.padded,
                            scores + panel * kPositions, width);
  float inverse[kGroup];
  for (int g = 0; g < kGroup; ++g)
    inverse[g] = softmax(scores + g * width, row.hidden, row.length, width);
  const T* values = row.cache(row.args.values) + row.before * row.dim;
  T* out = static_cast<T*>(row.a.out) + (row.token * row.a.query_heads + first) * row.dim;
  constexpr int kDims = 2;  // H is even
  for (int64_t h = 0; h < row.dim; h += kDims) {
    float mixed[kGroup][kDims];
    mix_dims<kGroup, kDims>(values + h * kPositions, row.dim, row.panels, scores, width, mixed);
    for (int g = 0; g < kGroup; ++g)
      for (int i = 0; i < kDims; ++i) store(out + g * row.dim + h + i, mixed[g][i] * inverse[g]);
  }
}

template <class T>
void attend(const CachedAttentionArgs& args, int64_t token, int64_t head, float* scratch) {
  const Row<T> row(args, token, head);
  int64_t g = 0;
  for (; g + kHeads <= row.group; g += kHeads)
    attend_heads<kHeads>(row, head * row.group + g, scratch);
  for (; g + 2 <= row.group; g += 2) attend_heads<2>(row, head * row.group + g, scratch);
  for (; g < row.group; ++g) attend_heads<1>(row, head * row.group + g, scratch);
}

template <class T>
void append(const CachedAttentionArgs& args, int64_t token, int64_t head, float* scratch) {
  const Row<T> row(args, token, head);
  const int64_t place = args.places[token];
  const int64_t first = place / kPositions * row.dim * kPositions + place % kPositions;
  T *key = row.cache(args.keys) + first, *value = row.cache(args.values) + first;
  load_row(row.raw(row.a.query_heads + head), row.map(row.a.k_weight), token, 1.f, scratch);
  const T* raw = row.raw(row.a.query_heads + row.a.key_value_heads + head);
  for (int64_t h = 0; h < row.dim; ++h) {
    store(key + h * kPositions, scratch[h]);
    value[h * kPositions] = raw[h];
  }
}

void cache_append(const CachedAttentionArgs& args, int64_t token, int64_t head, float* scratch) {
  args.attention.scalar == Scalar::f32 ? append<float>(args, token, head, scratch)
                                       : append<Bf16>(args, token, head, scratch);
}

void cached_attention(const CachedAttentionArgs& args, int64_t token, int64_t head,
                      float* scratch) {
  args.attention.scalar == Scalar::f32 ? attend<float>(args, token, head, scratch)
                                       : attend<Bf16>(args, token, head, scratch);
}

/// For one token with `length` tokens up to itself.
int64_t cached_attention_scratch(int64_t length, int64_t head_dim) {
  return kHeads * (round_up(length, kPositions) + round_up(head_dim, kPositions));
}

}  // namespace

void fill_cached_attention(GenerationLoops& loops) {
  loops.cache_append = cache_append;
  loops.cached_attention = cached_attention;
  loops.cached_attention_scratch = cached_attention_scratch;
}

}  // namespace veomni::kernels::VEOMNI_ISA
