#pragma once
// What the two directions of dense_block share. Includes LibTorch: for .cpp files of this folder only.
// T tokens, D model, Q = (N + 2K) H columns of qkv, A = N H, F feed-forward width

#include "kernels/cpu/attention_inputs.h"
#include "kernels/cpu/packed_matrix.h"
#include "kernels/cpu/row_pieces.h"
#include "kernels/dense_block.h"

namespace veomni::kernels::cpu {

struct DenseBlockSizes {
  int64_t tokens, dim, qkv, mixed, ffn;
  DenseBlockSizes(const at::Tensor& sum, const DenseBlockWeights& w)
      : tokens(sum.size(0)),
        dim(sum.size(1)),
        qkv(w.qkv.size(0)),
        mixed(w.output.size(1)),
        ffn(w.down.size(1)) {}
};

/// What forward leaves for backward, all f32. The norms' and SwiGLU's results are made again there: they would be the
/// third part of it, and memory is what small models wait for.
struct DenseBlockKept {
  at::Tensor input, rstd;          ///< [T, D] sum + branch; [T] of the first norm
  at::Tensor qkv, mixed, softmax;  ///< [T, Q]; [T, A], [T, N, 2] of attention
  at::Tensor middle, middle_rstd;  ///< [T, D] input + attention; [T] of the second norm
  at::Tensor gate_up;              ///< [T, 2F]
};

struct DenseBlockShape {
  AttentionShape attention;
  double norm_eps = 0;
};

/// Fills `kept` and returns feed_forward(middle) [T, D].
at::Tensor dense_block_forward(const at::Tensor& sum, const at::Tensor& branch,
                               const DenseBlockWeights& weights, AttentionInputs& attention,
                               const DenseBlockShape& shape, DenseBlockKept& kept);

struct DenseBlockGradients {
  at::Tensor input;  ///< [T, D]
  DenseBlockWeights weights;
};

/// Which matrices' gradients are asked for; each is a product as large as one of forward.
struct DenseBlockWanted {
  bool qkv = false, output = false, gate_up = false, down = false;
  GradientHome home;

  /// Memory for the gradient of a weight.
  at::Tensor memory_for(const at::Tensor& weight) const;
};

/// d_middle [T, D] may be undefined; d_fed [T, D]. Gradients of matrices that are not wanted stay undefined.
/// kept.qkv and kept.gate_up are overwritten: with their own gradients, which saves the memory and the waiting for it.
DenseBlockGradients dense_block_backward(const at::Tensor& d_middle, const at::Tensor& d_fed,
                                         const DenseBlockWeights& weights,
                                         const AttentionInputs& attention,
                                         const DenseBlockShape& shape, const DenseBlockKept& kept,
                                         DenseBlockWanted wanted);

/// Starts bringing rows of x into the second-level cache: attention reads them in strides that no hardware foresees.
inline void prefetch(const at::Tensor& x, int64_t first, int64_t rows) {
  const char* begin = static_cast<const char*>(x.data_ptr()) + first * x.stride(0) * 4;
  for (int64_t offset = 0; offset < rows * x.stride(0) * 4; offset += 64)
    __builtin_prefetch(begin + offset, 0, 2);
}

inline float* row(const at::Tensor& x, int64_t r) { return x.data_ptr<float>() + r * x.stride(0); }

/// Fills all of them, as one phase.
class PackPhase {
 public:
  void add(const PackedMatrix& matrix) {
    for (int64_t u = 0; u < matrix.units(); ++u) units_.push_back({&matrix, u});
  }
  int64_t items() const { return static_cast<int64_t>(units_.size()); }
  void run(int64_t item) const {
    const auto& [matrix, unit] = units_[static_cast<size_t>(item)];
    matrix->pack(unit);
  }

 private:
  struct Unit {
    const PackedMatrix* matrix;
    int64_t unit;
  };
  std::vector<Unit> units_;
};

}  // namespace veomni::kernels::cpu
