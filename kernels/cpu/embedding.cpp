#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include "kernels/cpu/fused.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"

// T tokens, D model, V vocabulary

namespace veomni::kernels::cpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Embedding : torch::autograd::Function<Embedding> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& weight, const at::Tensor& ids) {
    const int64_t tokens = ids.size(0), dim = weight.size(1);
    const at::Tensor out = at::empty({tokens, dim}, weight.options());
    RowsArgs args;
    args.scalar = scalar_of(weight);
    args.dim = dim;
    args.source = weight.const_data_ptr();
    args.index = ids.const_data_ptr<int64_t>();
    args.target = out.mutable_data_ptr();
    for_rows(tokens, dim,
             [&](int64_t begin, int64_t end) { loops().gather_rows(args, begin, end); });
    ctx->save_for_backward({ids});
    ctx->saved_data["rows"] = weight.size(0);
    return out;
  }

  /// Threads share the columns: every row is summed in the order of the tokens.
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const at::Tensor ids = ctx->get_saved_variables()[0], d_out = gradients[0].contiguous();
    const int64_t tokens = ids.size(0), dim = d_out.size(1);
    const at::Tensor d_weight = at::zeros({ctx->saved_data["rows"].toInt(), dim}, at::kFloat);
    RowsArgs args;
    args.scalar = scalar_of(d_out);
    args.dim = dim;
    args.source = d_out.const_data_ptr();
    args.index = ids.const_data_ptr<int64_t>();
    args.target = d_weight.mutable_data_ptr();
    constexpr int64_t kColumns = 16;  // one cache line of f32: no two threads write to the same
    for_rows((dim + kColumns - 1) / kColumns, tokens * kColumns, [&](int64_t begin, int64_t end) {
      loops().scatter_add_columns(args, tokens, begin * kColumns, std::min(dim, end * kColumns));
    });
    return {d_weight.to(d_out.scalar_type()), {}};
  }
};

}  // namespace

at::Tensor embedding(const at::Tensor& weight, const at::Tensor& ids) {
  return Embedding::apply(weight, ids);
}

}  // namespace veomni::kernels::cpu
