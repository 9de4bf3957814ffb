#include "kernels/cuda_fused.h"

#include <torch/csrc/autograd/custom_function.h>

#include "core/error.h"
#include "kernels/cuda_call.h"
#include "kernels/cuda_ops.h"
#include "kernels/kept.h"

namespace veomni::kernels::cuda {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// An argument that may be undefined: autograd refuses an undefined tensor, but takes an empty
/// optional.
using Maybe = std::optional<at::Tensor>;
Maybe maybe(const at::Tensor& x) { return x.defined() ? Maybe(x) : std::nullopt; }

/// sum and y of add_rms_norm; of rms_norm (no residual) y alone.
struct RmsNormFunction : torch::autograd::Function<RmsNormFunction> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x, const Maybe& residual,
                               const at::Tensor& weight, double epsilon) {
    const RmsNormCuda result =
        rms_norm_forward_cuda(x, residual.value_or(at::Tensor()), weight, epsilon);
    ctx->save_for_backward({result.sum, result.rstd, weight});
    if (!residual.has_value()) return {result.y};
    return {result.sum, result.y};
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const bool added = grads.size() == 2;
    const at::Tensor grad_sum = added ? grads[0].contiguous() : at::Tensor();
    const RmsNormGradCuda grad = rms_norm_backward_cuda(
        grads.back().contiguous(), grad_sum, {at::Tensor(), saved[1], saved[0]}, saved[2]);
    return {grad.x, added ? grad.x : at::Tensor(), grad.weight, at::Tensor()};
  }
};

struct SwigluFunction : torch::autograd::Function<SwigluFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& gate_up) {
    ctx->save_for_backward({gate_up});
    return swiglu_forward_cuda(gate_up);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    return {swiglu_backward_cuda(grads[0].contiguous(), ctx->get_saved_variables()[0])};
  }
};

/// The gradient of the loss is known after forward; backward only scales it.
struct CrossEntropyFunction : torch::autograd::Function<CrossEntropyFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& hidden,
                            const at::Tensor& weight, const CrossEntropyInputCuda& input,
                            CrossEntropyCuda* result) {
    (void)hidden, (void)weight;  // in `input` too; autograd follows arguments
    *result = linear_cross_entropy_cuda(input);
    if (input.gradient) ctx->save_for_backward({result->grad_hidden, result->grad_weight});
    return result->scaled;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor scale = grads[0].to(saved[0].scalar_type());
    return {saved[0] * scale, saved[1] * scale, at::Tensor(), at::Tensor()};
  }
};

struct AttentionFunction : torch::autograd::Function<AttentionFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, const Maybe&, const Maybe&,
                            const AttentionInputCuda& input) {
    const AttentionCuda result = packed_attention_forward_cuda(input);
    ctx->save_for_backward({qkv, input.q_weight, input.k_weight, input.positions, input.cu_seqlens,
                            result.out, result.lse, input.frequencies, result.state,
                            result.more_state});
    keep(ctx, input.shape);
    return result.out;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const AttentionInputCuda input{
        saved[0], saved[1], saved[2], saved[3], saved[4], kept<AttentionShape>(ctx), saved[7]};
    const AttentionGradCuda grad = packed_attention_backward_cuda(
        grads[0].contiguous(), input, {saved[5], saved[6], saved[8], saved[9]});
    return {grad.qkv, grad.q_weight, grad.k_weight, at::Tensor()};
  }
};

struct MoeFunction : torch::autograd::Function<MoeFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& gates,
                            const at::Tensor& chosen, const at::Tensor& gate_up,
                            const at::Tensor& down) {
    const MoeCuda result = moe_experts_forward_cuda({x, gates, chosen, gate_up, down});
    ctx->save_for_backward({x, gates, chosen, gate_up, down, result.order, result.inverse,
                            result.offsets, result.ends, result.up, result.rows});
    return result.out;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list s = ctx->get_saved_variables();
    const MoeGradCuda grad =
        moe_experts_backward_cuda(grads[0].contiguous(), {s[0], s[1], s[2], s[3], s[4]},
                                  {at::Tensor(), s[5], s[6], s[7], s[8], s[9], s[10]});
    return {grad.x, grad.gates, at::Tensor(), grad.gate_up, grad.down};
  }
};

struct EmbeddingFunction : torch::autograd::Function<EmbeddingFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& weight, const at::Tensor& ids) {
    ctx->save_for_backward({ids});
    ctx->saved_data["rows"] = weight.size(0);
    return embedding_forward_cuda(weight, ids);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::Tensor ids = ctx->get_saved_variables()[0];
    return {embedding_backward_cuda(grads[0].contiguous(), ids, ctx->saved_data["rows"].toInt()),
            at::Tensor()};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  return RmsNormFunction::apply(x, Maybe(), weight, epsilon)[0];
}

std::pair<at::Tensor, at::Tensor> add_rms_norm(const at::Tensor& x, const at::Tensor& residual,
                                               const at::Tensor& weight, double epsilon) {
  const variable_list results = RmsNormFunction::apply(x, maybe(residual), weight, epsilon);
  return {results[0], results[1]};
}

at::Tensor swiglu(const at::Tensor& gate_up) { return SwigluFunction::apply(gate_up); }

at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                                const at::Tensor& labels, const at::Tensor& label_weights,
                                double scale, at::Tensor* losses_out, at::Tensor* correct_out) {
  const bool gradient =
      at::GradMode::is_enabled() && (hidden.requires_grad() || weight.requires_grad());
  CrossEntropyCuda result;
  const CrossEntropyInputCuda input{hidden, weight, labels, label_weights, scale, gradient};
  at::Tensor scaled = CrossEntropyFunction::apply(hidden, weight, input, &result);
  if (losses_out != nullptr) *losses_out = result.losses;
  if (correct_out != nullptr) *correct_out = result.correct;
  return scaled;
}

at::Tensor packed_attention(const at::Tensor& qkv, const at::Tensor& q_weight,
                            const at::Tensor& k_weight, const at::Tensor& positions,
                            const at::Tensor& cu_seqlens, const AttentionShape& shape) {
  AttentionInputCuda input{qkv, q_weight, k_weight, positions, cu_seqlens, shape};
  if (shape.rope_theta > 0 && positions.dim() == 2) {
    input.frequencies = rope_angles(shape, positions);  // of tokens whose one position is 1
    input.positions = at::ones({qkv.size(0)}, positions.options());
  } else if (shape.rope_theta > 0 && shape.rope_scaling.type != RopeScaling::Type::none)
    input.frequencies = rope_frequency_rows(shape, cu_seqlens, qkv.size(0)).to(qkv.device());
  return AttentionFunction::apply(qkv, maybe(q_weight), maybe(k_weight), input);
}

at::Tensor moe_experts(const at::Tensor& x, const at::Tensor& gates, const at::Tensor& chosen,
                       const at::Tensor& gate_up, const at::Tensor& down) {
  return MoeFunction::apply(x, gates, chosen, gate_up, down);
}

at::Tensor embedding(const at::Tensor& weight, const at::Tensor& ids) {
  return EmbeddingFunction::apply(weight, ids);
}

}  // namespace veomni::kernels::cuda
