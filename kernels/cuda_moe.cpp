// Mixture of experts on CUDA tensors: tokens sorted by expert, one matrix product an expert,
// combined by the gates. T tokens, D model, E experts, k experts a token, F width of one expert
#include <functional>

#include "kernels/cuda_call.h"
#include "kernels/cuda_ops.h"

namespace veomni::kernels {
namespace {

void sort_by_expert(const at::Tensor& chosen, int64_t experts, MoeCuda& result) {
  const int64_t count = chosen.numel();
  result.order = integers(chosen, {count});
  result.inverse = integers(chosen, {count});
  const at::Tensor offsets = integers(chosen, {experts + 1});
  const at::Tensor partial = integers(chosen, {veomni_moe_blocks(count), experts});
  VeomniMoeSort args{};
  args.chosen = chosen.const_data_ptr<int64_t>();
  args.offsets = offsets.data_ptr<int32_t>();
  args.order = result.order.data_ptr<int32_t>();
  args.inverse = result.inverse.data_ptr<int32_t>();
  args.partial = partial.data_ptr<int32_t>();
  args.count = count;
  args.experts = experts;
  start_cuda("moe_sort", cuda_table().moe_sort, args, chosen);
  result.ends = offsets.narrow(0, 1, experts);
  result.offsets = offsets.cpu();
  TORCH_CHECK(result.offsets.const_data_ptr<int32_t>()[experts] == count,
              "moe_experts: a chosen expert is outside the ", experts, " experts");
}

VeomniMoe moe_args(const MoeInputCuda& in, const MoeCuda& sorted) {
  VeomniMoe args{};
  args.order = sorted.order.const_data_ptr<int32_t>();
  args.inverse = sorted.inverse.const_data_ptr<int32_t>();
  args.tokens = in.x.size(0);
  args.dim = in.x.size(1);
  args.per_token = in.gates.size(1);
  args.scalar = scalar_of(in.x);
  return args;
}

at::Tensor gather(const MoeInputCuda& in, const MoeCuda& sorted) {
  at::Tensor rows = at::empty({sorted.order.size(0), in.x.size(1)}, in.x.options());
  VeomniMoe args = moe_args(in, sorted);
  args.x = in.x.const_data_ptr();
  args.out = rows.data_ptr();
  start_cuda("moe_gather", cuda_table().moe_gather, args, in.x);
  return rows;
}

/// out[t] = Σ_j gates[t, j] · rows of (t, j); without gates the plain sum, which is gather's
/// gradient.
at::Tensor combine(const MoeInputCuda& in, const MoeCuda& sorted, const at::Tensor& rows,
                   const at::Tensor& gates) {
  at::Tensor out = at::empty_like(in.x);
  VeomniMoe args = moe_args(in, sorted);
  args.x = rows.const_data_ptr();
  args.gates = data_of(gates);
  args.out = out.data_ptr();
  start_cuda("moe_combine", cuda_table().moe_combine, args, in.x);
  return out;
}

/// Calls `run(e, first, count)` for each expert that has rows.
void each_expert(const MoeCuda& sorted, const std::function<void(int64_t, int64_t, int64_t)>& run) {
  const int32_t* offsets = sorted.offsets.const_data_ptr<int32_t>();
  for (int64_t e = 0; e + 1 < sorted.offsets.numel(); ++e) {
    if (offsets[e + 1] > offsets[e]) run(e, offsets[e], offsets[e + 1] - offsets[e]);
  }
}

/// Whether LibTorch's grouped product takes these: bf16, rows of whole 16 bytes. It asks for the experts' ends on the device.
bool grouped(const at::Tensor& left, const at::Tensor& right) {
  const auto whole = [](const at::Tensor& x) { return x.size(-1) % 8 == 0 && x.size(-2) % 8 == 0; };
  return left.is_cuda() && left.scalar_type() == at::kBFloat16 && left.size(-1) % 8 == 0 &&
         (right.dim() == 2 ? right.size(-1) % 8 == 0 : whole(right));
}

/// out rows of e ← in rows of e · weight[e] or its transpose
at::Tensor expert_products(const MoeCuda& sorted, const at::Tensor& in, const at::Tensor& weight,
                           bool transposed) {
  if (grouped(in, weight))
    return at::_grouped_mm(in, transposed ? weight.transpose(1, 2) : weight, sorted.ends);
  const int64_t width = weight.size(transposed ? 1 : 2);
  at::Tensor out = at::empty({in.size(0), width}, in.options());
  each_expert(sorted, [&](int64_t e, int64_t first, int64_t count) {
    at::Tensor rows = out.narrow(0, first, count);
    const at::Tensor matrix = transposed ? weight.select(0, e).t() : weight.select(0, e);
    at::mm_out(rows, in.narrow(0, first, count), matrix);
  });
  return out;
}

/// grad[e] ← (rows of e of left)ᵀ · rows of e of right; zero for experts without rows
at::Tensor expert_gradients(const MoeCuda& sorted, const at::Tensor& left, const at::Tensor& right,
                            const at::Tensor& like) {
  if (grouped(left, right)) return at::_grouped_mm(left.t(), right, sorted.ends);
  at::Tensor grad = at::zeros_like(like);
  each_expert(sorted, [&](int64_t e, int64_t first, int64_t count) {
    at::Tensor slice = grad.select(0, e);
    at::mm_out(slice, left.narrow(0, first, count).t(), right.narrow(0, first, count));
  });
  return grad;
}

}  // namespace

MoeCuda moe_experts_forward_cuda(const MoeInputCuda& in) {
  MoeCuda result;
  sort_by_expert(in.chosen, in.gate_up.size(0), result);
  result.up = expert_products(result, gather(in, result), in.gate_up, true);
  result.rows = expert_products(result, swiglu_forward_cuda(result.up), in.down, true);
  result.out = combine(in, result, result.rows, in.gates);
  return result;
}

MoeGradCuda moe_experts_backward_cuda(const at::Tensor& grad_out, const MoeInputCuda& in,
                                      const MoeCuda& saved) {
  MoeGradCuda grad;
  grad.gates = at::empty_like(in.gates);
  const at::Tensor grad_rows = at::empty_like(saved.rows);
  VeomniMoe args = moe_args(in, saved);
  args.x = saved.rows.const_data_ptr();
  args.gates = in.gates.const_data_ptr();
  args.grad_out = grad_out.const_data_ptr();
  args.grad_rows = grad_rows.data_ptr();
  args.grad_gates = grad.gates.data_ptr();
  start_cuda("moe_combine_backward", cuda_table().moe_combine_backward, args, in.x);

  grad.down = expert_gradients(saved, grad_rows, swiglu_forward_cuda(saved.up), in.down);
  const at::Tensor grad_act = expert_products(saved, grad_rows, in.down, false);
  const at::Tensor grad_up = swiglu_backward_cuda(grad_act, saved.up);
  grad.gate_up = expert_gradients(saved, grad_up, gather(in, saved), in.gate_up);
  grad.x = combine(in, saved, expert_products(saved, grad_up, in.gate_up, false), {});
  return grad;
}

}  // namespace veomni::kernels
