#pragma once
// The loops that only text generation runs; chosen and compiled like those of kernels/cpu/loops.h.
// T new tokens, S slots, C capacity of a slot, K key-value heads, H head size

#include "kernels/cpu/loops.h"

namespace veomni::kernels {

/// New tokens and the cache of keys and values that they join (kernels/cached_attention.h).
struct CachedAttentionArgs {
  AttentionArgs attention;  ///< of the new tokens; no cu_seqlens, no softmax
  void* keys = nullptr;     ///< [S, K, C / 16, H, 16]
  void* values = nullptr;
  int64_t capacity = 0;             ///< C
  const int64_t* slots = nullptr;   ///< [T]
  const int64_t* places = nullptr;  ///< [T]
};

/// y [rows, cols] = or += x [rows, depth] · weight [cols, depth]ᵀ, all contiguous; few rows.
struct FewRowsArgs {
  Scalar scalar = Scalar::f32;
  const void* x = nullptr;
  const void* weight = nullptr;
  void* y = nullptr;
  int64_t rows = 0, cols = 0, depth = 0;
  bool add = false;
};

struct GenerationLoops {
  /// One token and one key-value head each; scratch as cached_attention_scratch says.
  void (*cache_append)(const CachedAttentionArgs&, int64_t token, int64_t head, float* scratch);
  void (*cached_attention)(const CachedAttentionArgs&, int64_t token, int64_t head, float* scratch);
  /// Floats for a token with `length` tokens up to itself.
  int64_t (*cached_attention_scratch)(int64_t length, int64_t head_dim);
  /// Columns [begin, end) of y.
  void (*few_rows)(const FewRowsArgs&, int64_t begin, int64_t end);
};

/// Those of the instruction set that loops() runs on.
const GenerationLoops& generation_loops();

#define VEOMNI_DECLARE_LOOPS(isa)                     \
  namespace isa {                                     \
  void fill_cached_attention(GenerationLoops& loops); \
  void fill_few_rows(GenerationLoops& loops);         \
  }
VEOMNI_DECLARE_LOOPS(sse2)
VEOMNI_DECLARE_LOOPS(avx2)
VEOMNI_DECLARE_LOOPS(avx512)
#undef VEOMNI_DECLARE_LOOPS

}  // namespace veomni::kernels
