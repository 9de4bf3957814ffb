#pragma once
// The tensors behind one call's AttentionArgs. Includes LibTorch: for .cpp files of this folder only.

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "kernels/attention.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"

namespace veomni::kernels::cpu {

inline const float* floats(const at::Tensor& x) {
  return x.defined() ? x.const_data_ptr<float>() : nullptr;
}

inline at::Tensor as_float(const at::Tensor& x) { return x.defined() ? x.to(at::kFloat) : x; }

/// Weights in f32; cosine, sine and rows as in RopeTable, undefined without rotation.
struct AttentionInputs {
  at::Tensor qkv, q_weight, k_weight, cosine, sine, rows, cu_seqlens;

  AttentionArgs args(const AttentionShape& shape) const {
    AttentionArgs a;
    a.scalar = scalar_of(qkv);
    a.query_heads = shape.query_heads;
    a.key_value_heads = shape.key_value_heads;
    a.head_dim = shape.head_dim;
    a.rotary_dims = cosine.defined() ? 2 * cosine.size(1) : 0;
    a.causal = shape.causal;
    a.window = shape.window;
    a.qk_norm_eps = static_cast<float>(shape.qk_norm_eps);
    a.qkv = qkv.const_data_ptr();
    a.q_weight = floats(q_weight);
    a.k_weight = floats(k_weight);
    a.cosine = floats(cosine);
    a.sine = floats(sine);
    a.positions = rows.defined() ? rows.const_data_ptr<int64_t>() : nullptr;
    a.cu_seqlens = cu_seqlens.const_data_ptr<int32_t>();
    return a;
  }
  int64_t samples() const { return cu_seqlens.numel() - 1; }
  int64_t longest() const {
    const int32_t* begin = cu_seqlens.const_data_ptr<int32_t>();
    int64_t longest = 0;
    for (int64_t s = 0; s < samples(); ++s)
      longest = std::max<int64_t>(longest, begin[s + 1] - begin[s]);
    return longest;
  }
  /// Rows that belong to no sample get zeros.
  void clear_rest(const at::Tensor& x) const {
    const int64_t used = cu_seqlens.const_data_ptr<int32_t>()[samples()];
    if (used < x.size(0)) x.narrow(0, used, x.size(0) - used).zero_();
  }
};

}  // namespace veomni::kernels::cpu
