#pragma once
// T tokens, D hidden size

#include <ATen/core/Tensor.h>

#include <vector>

namespace veomni {

/// The row of embeddings a batch starts from: out[t] = sources[source[t]][row[t]], differentiable in every source.
///
/// places  [T] i64 on the host: row of the sources laid end to end (source 0 first)
/// sources each [n_i, D], one dtype and device; n_i may be 0
/// Backward adds rows in order of t, so that the same batch gives the same bits.
at::Tensor assemble_rows(const at::Tensor& places, const std::vector<at::Tensor>& sources);

}  // namespace veomni
