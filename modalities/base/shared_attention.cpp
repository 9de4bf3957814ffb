#include "modalities/base/shared_attention.h"

#include <ATen/ATen.h>

#include "kernels/linear.h"
#include "modalities/base/block.h"

namespace veomni {

at::Tensor shared_attention(const at::Tensor& x, const AttentionWeights& weights,
                            const TokenRow& row, const kernels::AttentionShape& shape) {
  HeadExchange exchange(*row.share, shape);
  const auto projections = exchange.by_group(weights.qkv);
  std::vector<at::Tensor> biases(projections.size());
  if (weights.bias.defined()) biases = exchange.by_group(weights.bias);
  for (size_t i = 0; i < projections.size(); ++i)
    exchange.send(kernels::linear(x, projections[i], biases[i]));
  for (int64_t group = 0; group < exchange.groups(); ++group)
    exchange.send_back(kernels::packed_attention(exchange.receive(), weights.q_norm, weights.k_norm,
                                                 row.positions, row.cu_seqlens,
                                                 exchange.local_shape()));
  return exchange.finish();
}

}  // namespace veomni
