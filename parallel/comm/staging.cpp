#include "parallel/comm/staging.h"

#include <torch/types.h>

namespace veomni::comm {

at::Tensor staged(const at::Tensor& tensor, bool sums) {
  const bool widen = sums && tensor.scalar_type() == at::kBFloat16;
  if (tensor.is_cpu() && !widen) return plain(tensor);
  return plain(tensor).to(at::kCPU, widen ? at::kFloat : tensor.scalar_type());
}

at::Tensor place_for(const at::Tensor& out, const at::Tensor& like) {
  const bool direct = out.is_cpu() && out.scalar_type() == like.scalar_type();
  return direct ? plain(out) : at::empty({out.numel()}, like.options());
}

void Delivery::set(const at::Tensor& out, const at::Tensor& from) {
  if (out.data_ptr() == from.data_ptr()) return;
  target_ = plain(out);
  result_ = from;
}

void Delivery::deliver() {
  if (!target_.defined()) return;
  const at::NoGradGuard no_grad;
  target_.copy_(result_.view_as(target_));
  target_.reset();
}

}  // namespace veomni::comm
