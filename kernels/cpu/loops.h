#pragma once
// The contract between tensors (kernels/cpu/*.cpp) and the hot loops (kernels/cpu/*_loops.cpp),
// which are compiled once for each instruction set and see raw pointers only. kernels/cpu/isa.h
// chooses the table at start-up. T tokens, D model, F feed-forward width, N query heads, K
// key-value heads, H head size, V vocabulary

#include <cstdint>

namespace veomni::kernels {

struct Bf16 {
  uint16_t bits;
};
enum class Scalar { f32, bf16 };

struct AttentionArgs {
  Scalar scalar = Scalar::f32;
  int64_t query_heads = 0, key_value_heads = 0, head_dim = 0;
  int64_t rotary_dims = 0;  ///< R: even, at most H
  bool causal = true;
  int64_t window = 0;  ///< tokens that each sees, itself included; 0: all before it
  float qk_norm_eps = 0;
  const void* qkv = nullptr;        ///< [T, (N + 2K) H]
  const float* q_weight = nullptr;  ///< [H], null without the norm
  const float* k_weight = nullptr;
  const float* cosine = nullptr;  ///< [P, R/2], null without rotation
  const float* sine = nullptr;
  const int64_t* positions = nullptr;  ///< [T] rows of cosine and sine
  const int32_t* cu_seqlens = nullptr;
  void* out = nullptr;       ///< [T, N H]
  float* softmax = nullptr;  ///< [T, N, 2] largest exponent (of 2) of a row, 1 / its denominator
  const void* d_out = nullptr;
  void* d_qkv = nullptr;  ///< may be qkv itself
  float* d_weights =
      nullptr;  ///< [S K, 2H] one row for each (sample, key-value head), null without the norm
};

struct NormArgs {
  Scalar scalar = Scalar::f32;
  int64_t dim = 0;
  float epsilon = 0;
  const void* x = nullptr;         ///< [T, D]
  const void* residual = nullptr;  ///< [T, D] or null
  const void* weight = nullptr;    ///< [D]
  void* sum = nullptr;             ///< [T, D], written when residual is given
  void* y = nullptr;               ///< [T, D]; in backward null, or where y is made again
  float* rstd = nullptr;           ///< [T]
  const void* d_y = nullptr;
  const void* d_sum = nullptr;  ///< [T, D] or null: added to d_x
  void* d_x = nullptr;
};

struct SwigluArgs {
  Scalar scalar = Scalar::f32;
  int64_t width = 0;
  const void* gate_up = nullptr;  ///< [T, 2F]
  void* y = nullptr;              ///< [T, F]; in backward null, or where y is made again
  const void* d_y = nullptr;
  void* d_gate_up = nullptr;  ///< may be gate_up itself
};

struct CrossEntropyArgs {
  int64_t vocabulary = 0;
  float* logits = nullptr;  ///< [rows, V]; becomes the gradient when `gradient` is set
  bool gradient = false;
  float scale = 1;
  const int64_t* labels = nullptr;       ///< [rows]
  const float* label_weights = nullptr;  ///< [rows] or null
  float* losses = nullptr;               ///< [rows]
  uint8_t* correct = nullptr;            ///< [rows] or null
};

struct AdamWArgs {
  float* parameter = nullptr;
  const float* gradient = nullptr;
  float* exp_avg = nullptr;
  float* exp_avg_sq = nullptr;
  float decay = 1, beta1 = 0, beta2 = 0, eps = 0, gradient_scale = 1;
  float step_size = 0;    ///< lr / (1 - beta1^step)
  float root_factor = 1;  ///< 1 / sqrt(1 - beta2^step)
};

/// Rows of experts: row r of the sorted order belongs to token `token[r]`, choice `slot[r] % k`.
struct MoeArgs {
  Scalar scalar = Scalar::f32;
  int64_t width = 0;               ///< F
  const void* gate_up = nullptr;   ///< [rows, 2F] pre-activations
  const void* d_hidden = nullptr;  ///< [rows, F] gradient of the activation, before the gate
  const float* gates = nullptr;    ///< [rows]
  void* hidden = nullptr;          ///< [rows, F] out: gate · silu(a) · b
  void* d_gate_up = nullptr;       ///< [rows, 2F] out
  float* d_gates = nullptr;        ///< [rows] out
};

struct RowsArgs {
  Scalar scalar = Scalar::f32;
  int64_t dim = 0, choices = 1;
  const void* source = nullptr;
  const int64_t* index = nullptr;
  const float* weights = nullptr;  ///< combine: [T, k] or null (ones)
  void* target = nullptr;
};

/// C [rows, cols] = or += A [rows, depth] · B [depth, cols]. One step of A is 1, likewise of B: each may be
/// row-major or transposed. Depth is cut at multiples of kMatrixDepth, whatever the threads.
struct MatrixArgs {
  const float* a = nullptr;
  int64_t a_row = 0, a_depth = 0;  ///< steps from one row to the next, and along depth
  const float* b = nullptr;
  int64_t b_depth = 0, b_col = 0;
  float* c = nullptr;
  int64_t c_row = 0;
  int64_t rows = 0, cols = 0, depth = 0;
  bool add = false;
  float* packed =
      nullptr;  ///< B in the order the products read it: matrix_packed floats, 64-byte aligned
};
constexpr int64_t kMatrixDepth = 384;
constexpr int64_t kMatrixScratch = 128 * kMatrixDepth * 3 / 2 + 1024;  ///< floats for one thread

/// One table for each instruction set. Ranges [begin, end) are rows, tokens or elements: callers
/// split them over threads.
struct Loops {
  void (*attention_forward)(const AttentionArgs&, int64_t sample, int64_t head, float* scratch);
  void (*attention_backward)(const AttentionArgs&, int64_t sample, int64_t head, float* scratch);
  /// Floats of scratch for one sample of `length` tokens, 64-byte aligned.
  int64_t (*attention_scratch)(int64_t length, int64_t head_dim);

  void (*norm_forward)(const NormArgs&, int64_t begin, int64_t end);
  /// Adds the rows' share of the weight gradient to d_weight [D].
  void (*norm_backward)(const NormArgs&, int64_t begin, int64_t end, float* d_weight);

  void (*swiglu_forward)(const SwigluArgs&, int64_t begin, int64_t end);
  void (*swiglu_backward)(const SwigluArgs&, int64_t begin, int64_t end);

  void (*cross_entropy)(const CrossEntropyArgs&, int64_t begin, int64_t end);

  void (*adamw)(const AdamWArgs&, int64_t begin, int64_t end);
  double (*sum_of_squares)(const float* x, int64_t count);

  /// Makes tiles [begin, end) of rows from `packed`; scratch holds kMatrixScratch floats. Null where LibTorch's products are faster.
  void (*matrix_rows)(const MatrixArgs&, int64_t begin, int64_t end, float* scratch) = nullptr;
  int64_t matrix_tile = 0;  ///< rows of C made at a time
  /// Floats of `packed`, by cols and depth.
  int64_t (*matrix_packed)(const MatrixArgs&);
  /// Into how many pieces the filling of `packed` divides.
  int64_t (*matrix_pack_units)(const MatrixArgs&);
  void (*matrix_pack)(const MatrixArgs&, int64_t begin, int64_t end);
  /// Rows [begin, end) of a row-major B, which stand at `rows` with steps of b_depth; `b` itself is not read.
  void (*matrix_pack_rows)(const MatrixArgs&, const float* rows, int64_t begin, int64_t end);

  void (*moe_backward)(const MoeArgs&, int64_t begin, int64_t end);
  /// target[r] = source[index[r]]
  void (*gather_rows)(const RowsArgs&, int64_t begin, int64_t end);
  /// target[t] = Σ_j weights[t, j] · source[index[t k + j]]
  void (*combine_rows)(const RowsArgs&, int64_t begin, int64_t end);
  /// target[index[t]] += source[t] in the order of t, for all `tokens`, columns [begin, end) only.
  /// target is f32.
  void (*scatter_add_columns)(const RowsArgs&, int64_t tokens, int64_t begin, int64_t end);
};

#define VEOMNI_DECLARE_LOOPS(isa)             \
  namespace isa {                             \
  void fill_attention(Loops& loops);          \
  void fill_attention_backward(Loops& loops); \
  void fill_matrix(Loops& loops);             \
  void fill_norm(Loops& loops);               \
  void fill_activation(Loops& loops);         \
  void fill_cross_entropy(Loops& loops);      \
  void fill_optimizer(Loops& loops);          \
  void fill_rows(Loops& loops);               \
  }
VEOMNI_DECLARE_LOOPS(sse2)
VEOMNI_DECLARE_LOOPS(avx2)
VEOMNI_DECLARE_LOOPS(avx512)
#undef VEOMNI_DECLARE_LOOPS

}  // namespace veomni::kernels
