#include "modalities/base/shared_attention.h"

#include <ATen/ATen.h>

#include "kernels/linear.h"
#include "modalities/base/block.h"

namespace veomni {

at::Tensor shared_attention(const at::Tensor& x, const AttentionWeights& weights,
                            const TokenRow& row, const kernels::AttentionShape& shape) {
  const int64_t q = shape.query_heads * shape.head_dim, kv = shape.key_value_heads * shape.head_dim;
  const auto project = [&](int64_t first, int64_t count) {
    return kernels::linear(
        x, weights.qkv.narrow(0, first, count),
        weights.bias.defined() ? weights.bias.narrow(0, first, count) : at::Tensor());
  };
  HeadExchange exchange(*row.share, shape);
  exchange.send_query(project(0, q));
  exchange.send_key_value(project(q, kv));
  exchange.send_key_value(project(q + kv, kv));
  const auto mixed =
      kernels::packed_attention(exchange.receive(), weights.q_norm, weights.k_norm, row.positions,
                                row.cu_seqlens, exchange.local_shape());
  return exchange.send_back(mixed);
}

}  // namespace veomni
