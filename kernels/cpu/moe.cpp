#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <vector>

#include "kernels/cpu/fused.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/matrix.h"
#include "kernels/cpu/parallel.h"

// T tokens, D model, E experts, k choices a token, R = T k rows sorted by expert, F width of one
// expert

namespace veomni::kernels::cpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Rows sorted by expert, stable: row r belongs to token[r]; choice (t, j) stands in row[t k + j].
struct Order {
  at::Tensor begin, token, row;  // [E + 1], [R], [T, k] i64
};

Order sort_by_expert(const at::Tensor& chosen, int64_t experts) {
  const int64_t tokens = chosen.size(0), choices = chosen.size(1), rows = tokens * choices;
  Order order{at::zeros({experts + 1}, at::kLong), at::empty({rows}, at::kLong),
              at::empty({tokens, choices}, at::kLong)};
  const int64_t* expert = chosen.const_data_ptr<int64_t>();
  int64_t* begin = order.begin.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < rows; ++i) ++begin[expert[i] + 1];
  for (int64_t e = 0; e < experts; ++e) begin[e + 1] += begin[e];
  std::vector<int64_t> next(begin, begin + experts);
  int64_t* token = order.token.mutable_data_ptr<int64_t>();
  int64_t* row = order.row.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < rows; ++i) {
    row[i] = next[static_cast<size_t>(expert[i])]++;
    token[row[i]] = i / choices;
  }
  return order;
}

/// f(expert, first row, rows) for every expert: experts side by side with one thread each when
/// there are enough of them, one after another with all threads inside the products otherwise.
template <class F>
void for_experts(const at::Tensor& begin, const F& f) {
  const int64_t experts = begin.numel() - 1;
  const int64_t* first = begin.const_data_ptr<int64_t>();
  const auto run = [&](int64_t e) {
    const at::NoGradGuard no_grad;  // grad mode is a thread's own
    f(e, first[e], first[e + 1] - first[e]);
  };
  if (experts >= 2 * at::get_num_threads()) return for_items(experts, run);
  for (int64_t e = 0; e < experts; ++e) run(e);
}

at::Tensor gather(const at::Tensor& source, const at::Tensor& index) {
  const at::Tensor out = at::empty({index.numel(), source.size(1)}, source.options());
  RowsArgs args;
  args.scalar = scalar_of(source);
  args.dim = source.size(1);
  args.source = source.const_data_ptr();
  args.index = index.const_data_ptr<int64_t>();
  args.target = out.mutable_data_ptr();
  for_rows(index.numel(), args.dim, [&](int64_t b, int64_t e) { loops().gather_rows(args, b, e); });
  return out;
}

/// out[t] = Σ_j weights[t, j] · source[row[t, j]]; undefined weights are ones.
at::Tensor combine(const at::Tensor& source, const at::Tensor& row, const at::Tensor& weights) {
  const at::Tensor out = at::empty({row.size(0), source.size(1)}, source.options());
  RowsArgs args;
  args.scalar = scalar_of(source);
  args.dim = source.size(1);
  args.choices = row.size(1);
  args.source = source.const_data_ptr();
  args.index = row.const_data_ptr<int64_t>();
  args.weights = weights.defined() ? weights.const_data_ptr<float>() : nullptr;
  args.target = out.mutable_data_ptr();
  for_rows(row.size(0), args.dim * args.choices,
           [&](int64_t b, int64_t e) { loops().combine_rows(args, b, e); });
  return out;
}

/// result[rows of e] = x[rows of e] · weights[e]ᵀ or · weights[e]
at::Tensor grouped(const at::Tensor& x, const at::Tensor& weights, const at::Tensor& begin,
                   bool transposed) {
  const at::Tensor out = at::empty({x.size(0), weights.size(transposed ? 1 : 2)}, x.options());
  for_experts(begin, [&](int64_t e, int64_t first, int64_t rows) {
    if (rows == 0) return;
    matrix_product_into(out.narrow(0, first, rows), x.narrow(0, first, rows),
                        transposed ? weights[e].t() : weights[e]);
  });
  return out;
}

/// [E, rows, columns] gradient of the experts' weights: left[rows of e]ᵀ · right[rows of e], zero
/// without rows.
at::Tensor outer(const at::Tensor& left, const at::Tensor& right, const at::Tensor& begin) {
  const at::Tensor out =
      at::empty({begin.numel() - 1, left.size(1), right.size(1)}, left.options());
  for_experts(begin, [&](int64_t e, int64_t first, int64_t rows) {
    if (rows == 0) return void(out[e].zero_());
    matrix_product_into(out[e], left.narrow(0, first, rows).t(), right.narrow(0, first, rows));
  });
  return out;
}

at::Tensor swiglu_rows(const at::Tensor& gate_up) {
  const at::Tensor hidden = at::empty({gate_up.size(0), gate_up.size(1) / 2}, gate_up.options());
  SwigluArgs args;
  args.scalar = scalar_of(gate_up);
  args.width = hidden.size(1);
  args.gate_up = gate_up.const_data_ptr();
  args.y = hidden.mutable_data_ptr();
  for_rows(gate_up.size(0), gate_up.size(1),
           [&](int64_t b, int64_t e) { loops().swiglu_forward(args, b, e); });
  return hidden;
}

/// Gradients of one call; d_gates in the order of the rows.
struct RowGradients {
  at::Tensor hidden, d_pre, d_gates;
};

/// From d_raw [R, F], the gradient of the activations before the gates: hidden becomes gate ·
/// activation, which is what the gradient of `down` multiplies, so neither the activations nor the
/// experts' outputs were saved.
RowGradients activation_backward(const at::Tensor& pre, const at::Tensor& d_raw,
                                 const at::Tensor& row_gates) {
  RowGradients g{at::empty(d_raw.sizes(), d_raw.options()), at::empty(pre.sizes(), pre.options()),
                 at::empty({pre.size(0)}, at::kFloat)};
  MoeArgs args;
  args.scalar = scalar_of(pre);
  args.width = d_raw.size(1);
  args.gate_up = pre.const_data_ptr();
  args.d_hidden = d_raw.const_data_ptr();
  args.gates = row_gates.const_data_ptr<float>();
  args.hidden = g.hidden.mutable_data_ptr();
  args.d_gate_up = g.d_pre.mutable_data_ptr();
  args.d_gates = g.d_gates.mutable_data_ptr<float>();
  for_rows(pre.size(0), pre.size(1),
           [&](int64_t b, int64_t e) { loops().moe_backward(args, b, e); });
  return g;
}

struct MoeExperts : torch::autograd::Function<MoeExperts> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& gates,
                            const at::Tensor& chosen, const at::Tensor& gate_up,
                            const at::Tensor& down) {
    const Order order = sort_by_expert(chosen, gate_up.size(0));
    const at::Tensor pre = grouped(gather(x, order.token), gate_up, order.begin, true);
    const at::Tensor y = grouped(swiglu_rows(pre), down, order.begin, true);
    ctx->save_for_backward({x, gates, gate_up, down, pre, order.begin, order.token, order.row});
    return combine(y, order.row, gates.to(at::kFloat));
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &gates = saved[1], &gate_up = saved[2], &down = saved[3],
                     &pre = saved[4];
    const Order order{saved[5], saved[6], saved[7]};
    const at::Tensor d_y = gather(gradients[0].contiguous(), order.token);
    const at::Tensor d_raw = grouped(d_y, down, order.begin, false);
    const at::Tensor flat = order.row.view(-1);
    const at::Tensor row_gates = at::empty({flat.numel()}, at::kFloat);
    row_gates.index_copy_(0, flat, gates.to(at::kFloat).view(-1));
    const RowGradients g = activation_backward(pre, d_raw, row_gates);
    const at::Tensor d_gates =
        g.d_gates.index_select(0, flat).view(gates.sizes()).to(gates.scalar_type());
    const at::Tensor d_x = combine(grouped(g.d_pre, gate_up, order.begin, false), order.row, {});
    at::Tensor d_gate_up, d_down;  // products as large as forward's: not for frozen experts
    if (ctx->needs_input_grad(3)) d_gate_up = outer(g.d_pre, gather(x, order.token), order.begin);
    if (ctx->needs_input_grad(4)) d_down = outer(d_y, g.hidden, order.begin);
    return {d_x, d_gates, {}, d_gate_up, d_down};
  }
};

}  // namespace

at::Tensor moe_experts(const at::Tensor& x, const at::Tensor& gates, const at::Tensor& chosen,
                       const at::Tensor& gate_up, const at::Tensor& down) {
  return MoeExperts::apply(x, gates, chosen, gate_up, down);
}

}  // namespace veomni::kernels::cpu
