#include "kernels/cpu/rope_table.h"

#include <torch/types.h>

#include <algorithm>
#include <map>
#include <mutex>

namespace veomni::kernels {
namespace {

constexpr int64_t kSharedPositions = 131072;

RopeTable compute(const at::Tensor& positions, double theta, int64_t head_dim) {
  const at::NoGradGuard no_grad;
  const int64_t half = head_dim / 2;
  const auto options = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor frequency =
      at::pow(theta, -at::arange(half, options) / static_cast<double>(half));
  const at::Tensor angle = positions.to(at::kDouble).unsqueeze(1) * frequency;
  return {angle.cos().to(at::kFloat), angle.sin().to(at::kFloat), {}};
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
RopeTable shared_table(int64_t rows, double theta, int64_t head_dim) {
  static std::mutex mutex;
  static std::map<std::pair<double, int64_t>, RopeTable> tables;
  const std::lock_guard lock(mutex);
  RopeTable& table = tables[{theta, head_dim}];
  if (!table.cosine.defined() || table.cosine.size(0) < rows) {
    int64_t capacity = 1024;
    while (capacity < rows) capacity *= 2;
    table = compute(at::arange(capacity, at::kLong), theta, head_dim);
  }
  return table;
}

}  // namespace

RopeTable rope_table(const at::Tensor& positions, double theta, int64_t head_dim) {
  const int64_t rows = rows_needed(positions);
  if (rows > kSharedPositions) {
    RopeTable own = compute(positions, theta, head_dim);
    own.rows = at::arange(positions.numel(), at::kLong);
    return own;
  }
  RopeTable table = shared_table(rows, theta, head_dim);
  table.rows = positions;
  return table;
}

}  // namespace veomni::kernels
