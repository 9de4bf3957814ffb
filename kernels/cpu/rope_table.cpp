#include "kernels/cpu/rope_table.h"

#include <torch/types.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>

namespace veomni::kernels {
namespace {

constexpr int64_t kSharedPositions = 131072;

/// frequencies [1, R/2], or a row for each position.
RopeTable compute(const at::Tensor& positions, const at::Tensor& frequencies, double factor) {
  const at::NoGradGuard no_grad;
  const at::Tensor angle = positions.to(at::kDouble).unsqueeze(1) * frequencies;
  return {(angle.cos() * factor).to(at::kFloat), (angle.sin() * factor).to(at::kFloat), {}};
}

int64_t rows_needed(const at::Tensor& positions) {
  const int64_t* p = positions.const_data_ptr<int64_t>();
  int64_t top = 0, bottom = 0;
  for (int64_t i = 0; i < positions.numel(); ++i) {
    top = std::max(top, p[i]);
    bottom = std::min(bottom, p[i]);
  }
  TORCH_CHECK(bottom >= 0, "packed_attention: position ", bottom, " is negative");
  return top + 1;
}

/// The shared table, grown to at least `rows`.
RopeTable shared_table(int64_t rows, const AttentionShape& shape) {
  static std::mutex mutex;
  static std::map<std::tuple<double, int64_t, RopeScaling>, RopeTable> tables;
  const std::lock_guard lock(mutex);
  RopeTable& table = tables[{shape.rope_theta, rotary_dims(shape), shape.rope_scaling}];
  if (!table.cosine.defined() || table.cosine.size(0) < rows) {
    int64_t capacity = 1024;
    while (capacity < rows) capacity *= 2;
    table = compute(at::arange(capacity, at::kLong),
                    rope_frequency_rows(shape, at::zeros({1}, at::kInt), 0),
                    shape.rope_scaling.attention_factor);
  }
  return table;
}

/// Whether a sample is so long that its frequencies are its own.
bool own_frequencies(const at::Tensor& cu_seqlens, const AttentionShape& shape) {
  if (shape.rope_scaling.type != RopeScaling::Type::dynamic) return false;
  const at::Tensor lengths = cu_seqlens.diff();
  return lengths.numel() > 0 &&
         lengths.max().item<double>() > shape.rope_scaling.original_max_position_embeddings;
}

}  // namespace

RopeTable rope_table(const at::Tensor& positions, const at::Tensor& cu_seqlens,
                     const AttentionShape& shape) {
  if (positions.dim() == 2) {
    const int64_t tokens = positions.size(1);
    RopeTable own = compute(at::ones({tokens}, at::kLong), rope_angles(shape, positions),
                            shape.rope_scaling.attention_factor);
    own.rows = at::arange(tokens, at::kLong);
    return own;
  }
  const int64_t rows = rows_needed(positions);
  if (rows > kSharedPositions || own_frequencies(cu_seqlens, shape)) {
    RopeTable own = compute(positions, rope_frequency_rows(shape, cu_seqlens, positions.numel()),
                            shape.rope_scaling.attention_factor);
    own.rows = at::arange(positions.numel(), at::kLong);
    return own;
  }
  RopeTable table = shared_table(rows, shape);
  table.rows = positions;
  return table;
}

}  // namespace veomni::kernels
