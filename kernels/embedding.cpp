#include "kernels/embedding.h"

#include "kernels/check.h"
#include "kernels/cpu/fused.h"
#include "kernels/cpu/parallel.h"
#include "kernels/reference.h"

namespace veomni::kernels {

at::Tensor embedding(const at::Tensor& weight, const at::Tensor& ids) {
  check_input("embedding", "weight", weight);
  TORCH_CHECK(weight.dim() == 2, "embedding: weight has shape ", weight.sizes(),
              ", must have [rows, dim]");
  TORCH_CHECK(ids.defined() && ids.dim() == 1, "embedding: ids must be a tensor of one dim");
  check_ids("embedding", "ids", ids, {ids.size(0)}, weight);
  if (!weight.is_cpu()) return reference::embedding(weight, ids);
  const int64_t* id = ids.const_data_ptr<int64_t>();
  for (int64_t t = 0; t < ids.size(0); ++t)
    TORCH_CHECK(id[t] >= 0 && id[t] < weight.size(0), "embedding: id ", id[t], " of token ", t,
                " is outside the ", weight.size(0), " rows");
  return fused_cpu(weight) ? cpu::embedding(weight, ids) : reference::embedding(weight, ids);
}

}  // namespace veomni::kernels
