#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <optional>

#include "kernels/cpu/attention_inputs.h"
#include "kernels/cpu/fused.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rope_table.h"
#include "kernels/cpu/scratch.h"
#include "kernels/kept.h"

// T tokens, N query heads, K key-value heads, H head size, S samples

namespace veomni::kernels::cpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

using Body = void (*)(const AttentionArgs&, int64_t sample, int64_t head, float* scratch);

void run(Body body, const AttentionArgs& args, const AttentionInputs& in) {
  const int64_t scratch = loops().attention_scratch(in.longest(), args.head_dim);
  for_items(in.samples() * args.key_value_heads, [&](int64_t item) {
    body(args, item / args.key_value_heads, item % args.key_value_heads, thread_scratch(scratch));
  });
}

using Optional = std::optional<at::Tensor>;  // Function refuses undefined tensors as arguments

/// Tensors without gradient: a struct hides them from autograd.
struct Constants {
  RopeTable table;
  at::Tensor cu_seqlens;
};

struct PackedAttention : torch::autograd::Function<PackedAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, const Optional& q,
                            const Optional& k, const Constants& constants,
                            const AttentionShape& shape) {
    const at::Tensor q_weight = q.value_or(at::Tensor()), k_weight = k.value_or(at::Tensor());
    const auto& [cosine, sine, rows] = constants.table;
    const at::Tensor& cu_seqlens = constants.cu_seqlens;
    const AttentionInputs in{qkv,  as_float(q_weight), as_float(k_weight), cosine, sine,
                             rows, cu_seqlens};
    at::Tensor out = at::empty({qkv.size(0), shape.query_heads * shape.head_dim}, qkv.options());
    const at::Tensor softmax = at::empty({qkv.size(0), shape.query_heads, 2}, at::kFloat);
    AttentionArgs args = in.args(shape);
    args.out = out.mutable_data_ptr();
    args.softmax = softmax.mutable_data_ptr<float>();
    run(loops().attention_forward, args, in);
    in.clear_rest(out);
    ctx->save_for_backward({qkv, q_weight, k_weight, cosine, sine, rows, cu_seqlens, out, softmax});
    keep(ctx, shape);
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const auto& shape = kept<AttentionShape>(ctx);
    const AttentionInputs in{
        saved[0], as_float(saved[1]), as_float(saved[2]), saved[3], saved[4], saved[5], saved[6]};
    const at::Tensor d_out = gradients[0].contiguous();
    at::Tensor d_qkv = at::empty(in.qkv.sizes(), in.qkv.options());
    AttentionArgs args = in.args(shape);
    args.out = saved[7].data_ptr();
    args.softmax = saved[8].data_ptr<float>();
    args.d_out = d_out.const_data_ptr();
    args.d_qkv = d_qkv.mutable_data_ptr();
    at::Tensor d_weights;
    if (in.q_weight.defined() || in.k_weight.defined()) {
      d_weights = at::empty({in.samples() * shape.key_value_heads, 2, shape.head_dim}, at::kFloat);
      args.d_weights = d_weights.mutable_data_ptr<float>();
    }
    run(loops().attention_backward, args, in);
    in.clear_rest(d_qkv);
    const auto d_weight = [&](const at::Tensor& weight, int64_t which) {
      return weight.defined() ? d_weights.select(1, which).sum(0).to(weight.scalar_type())
                              : at::Tensor();
    };
    return {d_qkv, d_weight(saved[1], 0), d_weight(saved[2], 1), {}, {}};
  }
};

}  // namespace

at::Tensor packed_attention(const at::Tensor& qkv, const at::Tensor& q_weight,
                            const at::Tensor& k_weight, const at::Tensor& positions,
                            const at::Tensor& cu_seqlens, const AttentionShape& shape) {
  Constants constants{{}, cu_seqlens};
  if (shape.rope_theta > 0) constants.table = rope_table(positions, cu_seqlens, shape);
  const auto optional = [](const at::Tensor& x) {
    return x.defined() ? Optional(x) : std::nullopt;
  };
  return PackedAttention::apply(qkv, optional(q_weight), optional(k_weight), constants, shape);
}

}  // namespace veomni::kernels::cpu
