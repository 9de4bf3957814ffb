#include <torch/types.h>

#include "kernels/cached_backends.h"
#include "kernels/cpu/attention_inputs.h"
#include "kernels/cpu/generation_loops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rope_table.h"
#include "kernels/cpu/scratch.h"

// T new tokens, K key-value heads, H head size

namespace veomni::kernels::cpu {
namespace {

/// Arguments of the loops, and the tensors they point into.
struct Call {
  AttentionInputs inputs;
  CachedAttentionArgs args;

  Call(const AttentionInputs& given, const CachedRows& rows, const AttentionShape& shape)
      : inputs(given) {
    args.attention = inputs.args(shape);
    args.keys = rows.keys.mutable_data_ptr();
    args.values = rows.values.mutable_data_ptr();
    args.capacity = rows.keys.size(2) * kCachePanel;
    args.slots = rows.slots.const_data_ptr<int64_t>();
    args.places = rows.places.const_data_ptr<int64_t>();
  }
};

AttentionInputs inputs_of(const at::Tensor& qkv, const at::Tensor& positions,
                          const AttentionShape& shape) {
  AttentionInputs inputs;
  inputs.qkv = qkv;
  inputs.cu_seqlens = at::zeros({1}, at::kInt);  // no samples: places bound what a row sees
  if (shape.rope_theta > 0) {
    const RopeTable table = rope_table(positions, inputs.cu_seqlens, shape);
    inputs.cosine = table.cosine;
    inputs.sine = table.sine;
    inputs.rows = table.rows;
  }
  return inputs;
}

using Body = void (*)(const CachedAttentionArgs&, int64_t token, int64_t head, float* scratch);

/// `row_elements`: of the cache, for one item.
void run(Body body, const CachedAttentionArgs& args, int64_t tokens, int64_t row_elements) {
  const AttentionArgs& a = args.attention;
  for_rows(tokens * a.key_value_heads, row_elements, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t token = item / a.key_value_heads;
      float* scratch = thread_scratch(
          generation_loops().cached_attention_scratch(args.places[token] + 1, a.head_dim));
      body(args, token, item % a.key_value_heads, scratch);
    }
  });
}

}  // namespace

void append_to_cache(const at::Tensor& qkv, const at::Tensor& k_weight, const at::Tensor& positions,
                     const CachedRows& rows, const AttentionShape& shape) {
  AttentionInputs inputs = inputs_of(qkv, positions, shape);
  inputs.k_weight = as_float(k_weight);
  const Call call(inputs, rows, shape);
  run(generation_loops().cache_append, call.args, qkv.size(0), 4 * shape.head_dim);
}

at::Tensor cached_attention(const at::Tensor& qkv, const at::Tensor& q_weight,
                            const at::Tensor& positions, const CachedRows& rows,
                            const AttentionShape& shape) {
  AttentionInputs inputs = inputs_of(qkv, positions, shape);
  inputs.q_weight = as_float(q_weight);
  Call call(inputs, rows, shape);
  const at::Tensor out =
      at::empty({qkv.size(0), shape.query_heads * shape.head_dim}, qkv.options());
  call.args.attention.out = out.mutable_data_ptr();
  int64_t longest = 0;
  for (int64_t t = 0; t < qkv.size(0); ++t) longest = std::max(longest, call.args.places[t]);
  run(generation_loops().cached_attention, call.args, qkv.size(0),
      2 * (longest + 1) * shape.head_dim * (shape.query_heads / shape.key_value_heads));
  return out;
}

}  // namespace veomni::kernels::cpu
