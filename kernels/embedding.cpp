#include "kernels/embedding.h"

#include "kernels/check.h"
#include "kernels/cpu/fused.h"
#include "kernels/cuda_fused.h"
#include "kernels/reference.h"

namespace veomni::kernels {

namespace {

/// Only ids in host memory can be looked at without waiting for a device; CUDA looks itself.
void check_range(const at::Tensor& ids, int64_t rows) {
  if (!ids.is_cpu()) return;
  const int64_t* id = ids.const_data_ptr<int64_t>();
  for (int64_t t = 0; t < ids.size(0); ++t)
    TORCH_CHECK(id[t] >= 0 && id[t] < rows, "embedding: id ", id[t], " of token ", t,
                " is outside the ", rows, " rows");
}

}  // namespace

at::Tensor embedding(const at::Tensor& weight, const at::Tensor& ids) {
  check_input("embedding", "weight", weight);
  TORCH_CHECK(weight.dim() == 2, "embedding: weight has shape ", weight.sizes(),
              ", must have [rows, dim]");
  TORCH_CHECK(ids.defined() && ids.dim() == 1, "embedding: ids must be a tensor of one dim");
  check_ids("embedding", "ids", ids, {ids.size(0)}, weight);
  check_range(ids, weight.size(0));
  switch (backend(weight)) {
    case Backend::cpu:
      return cpu::embedding(weight, ids);
    case Backend::cuda:
      return cuda::embedding(weight, ids);
    default:
      return reference::embedding(weight, ids);
  }
}

}  // namespace veomni::kernels
