#include "modalities/encoders/token_keys.h"

#include <ATen/ATen.h>

namespace veomni {

at::Tensor spread_keys(const at::Tensor& keys, const at::Tensor& counts) {
  constexpr int64_t kPrime = 1000003;  // keeps the items' runs of keys apart
  const auto* key = keys.const_data_ptr<int64_t>();
  const auto* count = counts.const_data_ptr<int64_t>();
  auto rows = at::empty({counts.sum().item<int64_t>()}, at::kLong);
  auto* out = rows.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < counts.size(0); ++i)
    for (int64_t p = 0; p < count[i]; ++p) *out++ = key[i] * kPrime + p;
  return rows;
}

}  // namespace veomni
