#pragma once
// The one door to libveomni_cuda.so: a table of C functions on raw device pointers. Neither side
// needs the other's headers: nvcc never parses LibTorch, and the engine never links CUDA. Contracts
// of the operations stand in kernels/{norm,activation,cross_entropy,optimizer,attention,moe}.h;
// here is what each pointer is.
//
// Every function returns 0, a cudaError_t (1 … 9999) or a code of veomni_cuda_error below;
// `error_text` explains it. Functions start work on `stream` (a cudaStream_t) of the current device
// and do not wait for it. "scalar" arrays hold f32 or bf16 as `scalar` says; sums are kept in f32.
// Every result is the same bits on every run: no floating-point atomics, and the order of each sum
// depends on sizes only. Arrays are contiguous; null where marked "or null".
//
// T tokens, D model, F feed-forward width, V vocabulary, N query heads, K key-value heads, H head
// size, E experts

#include <cstdint>

enum VeomniScalar : int32_t { kVeomniF32 = 0, kVeomniBf16 = 1 };

enum VeomniCudaError : int32_t {
  kVeomniUnsupported = 20001,  ///< a size or dtype the kernel does not do
};

/// rows of weight-gradient partial sums for T tokens: workspaces are [rows, D] f32
inline int64_t veomni_partial_rows(int64_t tokens) {
  const int64_t rows = (tokens + 31) / 32;
  return rows < 1 ? 1 : rows > 256 ? 256 : rows;
}

/// query rows (forward) or key/query rows (backward) of one tile of attention
inline int64_t veomni_attention_rows(int64_t head_dim, bool backward) {
  if (!backward) return head_dim <= 128 ? 64 : 32;
  return head_dim <= 64 ? 64 : head_dim <= 128 ? 32 : 16;
}

enum : int64_t { kVeomniSquarePartials = 1024, kVeomniMaxExperts = 4096, kVeomniMaxHeadDim = 256 };

struct VeomniRmsNorm {   // y = s · rstd · weight, s = x (+ residual)
  const void* x;         ///< [T, D] scalar
  const void* residual;  ///< [T, D] scalar or null
  const void* weight;    ///< [D] scalar
  void* sum;             ///< [T, D] scalar: x + residual, rounded; null without residual
  void* y;               ///< [T, D] scalar
  float* rstd;           ///< [T]
  int64_t tokens, dim;
  float epsilon;
  int32_t scalar;
};

struct VeomniRmsNormBackward {
  const void* grad_y;    ///< [T, D] scalar
  const void* grad_sum;  ///< [T, D] scalar or null: added to grad_x
  const void* s;         ///< [T, D] scalar: what was normalised
  const void* weight;    ///< [D] scalar
  const float* rstd;     ///< [T]
  void* grad_x;          ///< [T, D] scalar
  void* grad_weight;     ///< [D] scalar
  float* partial;        ///< [veomni_partial_rows(T), D] workspace
  int64_t tokens, dim;
  int32_t scalar;
};

struct VeomniSwiglu {    // gate_up [T, 2F] = [gate | up]
  const void* gate_up;   ///< [T, 2F] scalar
  void* out;             ///< forward: [T, F] scalar
  const void* grad_out;  ///< backward: [T, F] scalar
  void* grad_gate_up;    ///< backward: [T, 2F] scalar
  int64_t tokens, width;
  int32_t scalar;
};

struct VeomniCrossEntropy {
  void* logits;  ///< [T, V] scalar; with `gradient` overwritten by scale · label_weight · (softmax
                 ///< − one-hot)
  const int64_t* labels;       ///< [T]; −100: loss 0, not correct, gradient 0
  const float* label_weights;  ///< [T] or null (ones)
  float* losses;               ///< [T]: −log softmax[label], unscaled and unweighted
  uint8_t* correct;            ///< [T] or null: 1 when label is the first of the largest logits
  int32_t*
      bad_label;  ///< [1], set to 1 when a label is neither −100 nor in [0, V); set it to 0 before
  int64_t tokens, vocabulary;
  float scale;
  int32_t gradient, scalar;
};

struct VeomniAdamW {  // all arrays f32 [n]; the coefficients are kernels/optimizer.h's, worked out
                      // by the caller
  float* parameter;
  const float* gradient;
  float* exp_avg;
  float* exp_avg_sq;
  int64_t count;
  float gradient_scale, decay;            ///< decay = 1 − lr · weight_decay
  float rest1, beta2, rest2;              ///< rest = 1 − beta, worked out in f64
  float step_size, root_correction, eps;  ///< lr / (1 − beta1^step), √(1 − beta2^step)
};

struct VeomniSumOfSquares {
  const float* x;
  double* partial;  ///< [kVeomniSquarePartials] workspace
  double* sum;      ///< [1]
  int64_t count;
};

struct VeomniRope {  // per-head RMSNorm (where a weight is given), then rotation (where theta > 0)
  const void* qkv;   ///< [T, (N + 2K) H] scalar
  const void* q_weight;      ///< [H] scalar or null
  const void* k_weight;      ///< [H] scalar or null
  const int64_t* positions;  ///< [T], or null when theta is 0
  void* qk;                  ///< forward: [T, (N + K) H] scalar
  const void* grad_qk;       ///< backward: [T, (N + K) H] scalar
  void* grad_qkv;            ///< backward: [T, (N + 2K) H] scalar; its q and k columns are written
  void* grad_q_weight;       ///< backward: [H] scalar or null
  void* grad_k_weight;       ///< backward: [H] scalar or null
  float* partial;            ///< backward with a weight: [veomni_partial_rows(T), 2, H] workspace
  /// [R/2] f64 radians a position, or [T, R/2] where frequency_row is R/2; null: theta^(−2i/R)
  const double* frequency;
  int64_t frequency_row;
  int64_t tokens, query_heads, key_value_heads, head_dim;
  int64_t rotary_dims;       ///< R: even, at most H
  double theta, turn_scale;  ///< 0: no rotation; sines and cosines are multiplied by turn_scale
  float epsilon;
  int32_t scalar;
};

/// A run of at most veomni_attention_rows rows of one sample; no kernel writes rows that belong to
/// no sample.
struct VeomniTile {
  int32_t begin, end;  ///< rows of the sample
  int32_t first;       ///< row of the tile's first row
};

struct VeomniAttention {
  const void* q;  ///< row t, head n at q + t · q_stride + n · H (strides in elements)
  const void* k;
  const void* v;
  int64_t q_stride, k_stride, v_stride;
  void* out;                ///< [T, N, H] scalar; backward reads it
  float* lse;               ///< [N, T]: log Σ exp of each row's scaled scores; backward reads it
  const VeomniTile* tiles;  ///< device array, for the direction's own tile rows
  int64_t tile_count, tokens, query_heads, key_value_heads, head_dim;
  int32_t causal, window, scalar;  ///< window: tokens that each sees; 0: all before it
  const void* grad_out;            ///< backward: [T, N, H] scalar
  void* grad_q;                    ///< backward: placed like q, k and v, each with its own stride
  void* grad_k;
  void* grad_v;
  int64_t grad_q_stride, grad_k_stride, grad_v_stride;
  float* delta;  ///< backward: [N, T] workspace
};

struct VeomniMoeSort {    // stable counting sort of the chosen experts
  const int64_t* chosen;  ///< [count]; entries outside [0, E) are left out, so offsets[E] < count
                          ///< tells of them
  int32_t* offsets;  ///< [E + 1]: expert e owns sorted rows offsets[e] … offsets[e + 1] − 1
  int32_t* order;    ///< [count]: entry of each sorted row
  int32_t* inverse;  ///< [count]: sorted row of each entry
  int32_t* partial;  ///< [veomni_moe_blocks(count), E] workspace
  int64_t count, experts;
};
inline int64_t veomni_moe_blocks(int64_t count) { return count < 1 ? 1 : (count + 1023) / 1024; }

struct VeomniMoe {    // k experts a token; `order` and `inverse` are VeomniMoeSort's
  const void* x;      ///< gather: [T, D] → rows [T k, D];  combine: rows [T k, D] → [T, D]
  const void* gates;  ///< [T, k] scalar; gather's backward: null (ones)
  const int32_t* order;
  const int32_t* inverse;
  void* out;
  const void* grad_out;  ///< combine's backward: [T, D] scalar
  void* grad_rows;       ///< combine's backward: [T k, D] scalar
  void* grad_gates;      ///< combine's backward: [T, k] scalar
  int64_t tokens, dim, per_token;
  int32_t scalar;
};

struct VeomniEmbedding {
  const void* weight;  ///< gather: [V, D] scalar
  const int64_t* ids;  ///< gather: [n]; scatter: [n] in ascending order
  void* out;           ///< gather: [n, D] scalar
  int32_t* bad_id;  ///< gather: [1], set to 1 when an id is outside [0, V); that row becomes zero
  const void* grad_out;  ///< scatter: [n, D] scalar
  const int64_t* order;  ///< scatter: [n]: row of grad_out of each sorted id (stable)
  const int64_t* rows;   ///< scatter: [n]: row of `grad` for each sorted id, or null: the id itself
  float*
      grad;  ///< scatter: f32 rows of D; only rows of present ids are written: Σ grad_out in order
  int64_t count, dim, vocabulary;
  int32_t scalar;
};

struct VeomniDeviceInfo {
  char name[256];
  int32_t major, minor;  ///< compute capability
  int64_t memory_bytes, free_bytes;
};

enum { kVeomniCudaTableVersion = 2 };

struct VeomniCudaTable {
  int32_t version;
  const char* (*error_text)(int code);
  int (*device_count)(int* count);
  int (*device_info)(int device, VeomniDeviceInfo* info);

  int (*rms_norm)(const VeomniRmsNorm*, void* stream);
  int (*rms_norm_backward)(const VeomniRmsNormBackward*, void* stream);
  int (*swiglu)(const VeomniSwiglu*, void* stream);
  int (*swiglu_backward)(const VeomniSwiglu*, void* stream);
  int (*cross_entropy)(const VeomniCrossEntropy*, void* stream);
  int (*adamw)(const VeomniAdamW*, void* stream);
  int (*sum_of_squares)(const VeomniSumOfSquares*, void* stream);
  int (*rope)(const VeomniRope*, void* stream);
  int (*rope_backward)(const VeomniRope*, void* stream);
  int (*attention)(const VeomniAttention*, void* stream);
  int (*attention_backward)(const VeomniAttention*, void* stream);
  int (*moe_sort)(const VeomniMoeSort*, void* stream);
  int (*moe_gather)(const VeomniMoe*, void* stream);
  int (*moe_combine)(const VeomniMoe*, void* stream);
  int (*moe_combine_backward)(const VeomniMoe*, void* stream);
  int (*embedding)(const VeomniEmbedding*, void* stream);
  int (*embedding_backward)(const VeomniEmbedding*, void* stream);
};

/// Null when the library's version is not the one asked for.
extern "C" const VeomniCudaTable* veomni_cuda_table(int version);
