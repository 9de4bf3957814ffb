#include "kernels/moe.h"

#include "kernels/check.h"
#include "kernels/cpu/fused.h"
#include "kernels/cuda_fused.h"
#include "kernels/reference.h"

namespace veomni::kernels {
namespace {

constexpr const char* kWhere = "moe_experts";

void check_shapes(const at::Tensor& x, const at::Tensor& gate_up, const at::Tensor& down) {
  check_input(kWhere, "x", x);
  check_same(kWhere, "gate_up", gate_up, x);
  check_same(kWhere, "down", down, x);
  TORCH_CHECK(x.dim() == 2 && down.dim() == 3 && gate_up.dim() == 3, kWhere, ": x has shape ",
              x.sizes(), ", gate_up ", gate_up.sizes(), " and down ", down.sizes(),
              ", must have [tokens, dim], [experts, 2 * width, dim] and [experts, dim, width]");
  check_shape(kWhere, "gate_up", gate_up, {down.size(0), 2 * down.size(2), x.size(1)});
  check_shape(kWhere, "down", down, {gate_up.size(0), x.size(1), gate_up.size(1) / 2});
}

void check_chosen(const at::Tensor& chosen, int64_t experts) {
  if (!chosen.is_cpu()) return;
  const int64_t* expert = chosen.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < chosen.numel(); ++i)
    TORCH_CHECK(expert[i] >= 0 && expert[i] < experts, kWhere, ": chosen expert ", expert[i],
                " is outside the ", experts, " experts");
}

}  // namespace

at::Tensor moe_experts(const at::Tensor& x, const at::Tensor& gates, const at::Tensor& chosen,
                       const at::Tensor& gate_up, const at::Tensor& down) {
  check_shapes(x, gate_up, down);
  check_same(kWhere, "gates", gates, x);
  TORCH_CHECK(gates.dim() == 2 && gates.size(0) == x.size(0), kWhere, ": gates has shape ",
              gates.sizes(), ", must have [", x.size(0), ", choices]");
  check_ids(kWhere, "chosen", chosen, gates.sizes(), x);
  check_chosen(chosen, gate_up.size(0));
  switch (backend(x)) {
    case Backend::cpu:
      return cpu::moe_experts(x, gates, chosen, gate_up, down);
    case Backend::cuda:
      return cuda::moe_experts(x, gates, chosen, gate_up, down);
    default:
      return reference::moe_experts(x, gates, chosen, gate_up, down);
  }
}

}  // namespace veomni::kernels
