#pragma once
// The operations of this folder on CUDA tensors: forward and backward apart, without autograd
// (kernels/cuda_fused.h joins them). Work is started on LibTorch's current stream of the tensors'
// device. Tensors are contiguous, f32 or bf16, of one dtype and device unless said otherwise;
// shapes, dtypes and meanings as in the header of each operation, which checks them. Every gradient
// is the same bits on every run. Throws DeviceError when the device refuses.
//
// T tokens, D model, F feed-forward width, V vocabulary, N query heads, K key-value heads, H head
// size, E experts

#include <ATen/core/Tensor.h>

#include "kernels/attention.h"
#include "kernels/optimizer.h"

namespace veomni::kernels {

struct RmsNormCuda {
  at::Tensor y, rstd;  ///< [T, D]; [T] f32
  at::Tensor sum;      ///< [T, D]: what was normalised: x itself without residual
};
/// residual may be undefined.
RmsNormCuda rms_norm_forward_cuda(const at::Tensor& x, const at::Tensor& residual,
                                  const at::Tensor& weight, double epsilon);

struct RmsNormGradCuda {
  at::Tensor x;  ///< also the residual's
  at::Tensor weight;
};
/// grad_sum [T, D] is the gradient of `sum` itself, or undefined.
RmsNormGradCuda rms_norm_backward_cuda(const at::Tensor& grad_y, const at::Tensor& grad_sum,
                                       const RmsNormCuda& saved, const at::Tensor& weight);

at::Tensor swiglu_forward_cuda(const at::Tensor& gate_up);
at::Tensor swiglu_backward_cuda(const at::Tensor& grad_out, const at::Tensor& gate_up);

struct CrossEntropyInputCuda {
  at::Tensor hidden, weight, labels, label_weights;  ///< label_weights undefined: ones
  double scale = 1;
  bool gradient = true;
};
struct CrossEntropyCuda {
  at::Tensor scaled, losses, correct;   ///< [] f32, [T] f32, [T] u8
  at::Tensor grad_hidden, grad_weight;  ///< of `scaled`; undefined unless asked for
};
/// Logits exist for one chunk of tokens at a time. Waits for the device once, to look for labels
/// out of range.
CrossEntropyCuda linear_cross_entropy_cuda(const CrossEntropyInputCuda& input);

void adamw_cuda_(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& exp_avg,
                 at::Tensor& exp_avg_sq, const AdamW& settings);
double sum_of_squares_cuda(const at::Tensor& x);

struct AttentionInputCuda {
  at::Tensor qkv, q_weight, k_weight, positions,
      cu_seqlens;  ///< as packed_attention; cu_seqlens in host memory
  AttentionShape shape;
  /// [1 or T, R/2] f64 of rope_frequency_rows beside qkv; undefined without scaling: shape.rope_theta alone decides.
  at::Tensor frequencies = {};
};
struct AttentionCuda {
  at::Tensor out, lse;  ///< [T, N H]; [N, T] f32
  at::Tensor state = {},
             more_state = {};  ///< LibTorch's kernels for bf16: what their backward asks for
};
/// bf16 runs on LibTorch's FlashAttention (Dao 2023, arXiv:2307.08691), which has tensor cores do the products; f32 on our own
/// kernels.
AttentionCuda packed_attention_forward_cuda(const AttentionInputCuda& input);

struct AttentionGradCuda {
  at::Tensor qkv, q_weight, k_weight;  ///< weights' undefined where there are none
};
/// The rotated q and k are made again.
AttentionGradCuda packed_attention_backward_cuda(const at::Tensor& grad_out,
                                                 const AttentionInputCuda& input,
                                                 const AttentionCuda& saved);

struct MoeInputCuda {
  at::Tensor x, gates, chosen, gate_up, down;
};
struct MoeCuda {
  at::Tensor out;
  at::Tensor order, inverse;  ///< [T k] i32
  at::Tensor offsets;         ///< [E + 1] i32, host
  at::Tensor ends;            ///< [E] i32: offsets[1 … E] on the device
  at::Tensor up, rows;        ///< [T k, 2F], [T k, D]: sorted by expert
};
/// Waits for the device once: the sizes of the experts' matrix products.
MoeCuda moe_experts_forward_cuda(const MoeInputCuda& input);

struct MoeGradCuda {
  at::Tensor x, gates, gate_up, down;
};
MoeGradCuda moe_experts_backward_cuda(const at::Tensor& grad_out, const MoeInputCuda& input,
                                      const MoeCuda& saved);

/// Waits for the device once, to look for ids out of range.
at::Tensor embedding_forward_cuda(const at::Tensor& weight, const at::Tensor& ids);
/// grad_out [n, D] → [V, D] of its dtype, summed in f32 in the order of the ids.
at::Tensor embedding_backward_cuda(const at::Tensor& grad_out, const at::Tensor& ids,
                                   int64_t vocabulary);
struct TouchedRowsCuda {
  at::Tensor ids, grad;  ///< [U] i64 ascending; [U, D] f32
};
/// The same for the rows that are there only.
TouchedRowsCuda embedding_touched_cuda(const at::Tensor& grad_out, const at::Tensor& ids);

}  // namespace veomni::kernels
