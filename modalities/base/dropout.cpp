#include "modalities/base/dropout.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "modalities/base/block.h"

namespace veomni {
namespace {

/// The finaliser of SplitMix64 (Steele, Lea & Flood 2014): every input bit reaches every output bit.
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

uint64_t hash_text(const std::string& text) {
  uint64_t hash = 0xCBF29CE484222325ULL;  // FNV-1a
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001B3ULL;
  return hash;
}

}  // namespace

at::Tensor residual_dropout(const at::Tensor& x, const at::Tensor& keys, const Pass& pass,
                            const std::string& purpose) {
  if (!pass.train || pass.dropout == 0) return x;
  const int64_t rows = x.size(0), columns = x.size(1);
  auto mask = at::empty({rows, columns}, at::kFloat);
  const auto* key = keys.const_data_ptr<int64_t>();
  auto* out = mask.mutable_data_ptr<float>();
  const uint64_t seed = mix(pass.noise_seed ^ hash_text(purpose));
  const auto threshold = static_cast<uint32_t>(pass.dropout * 4294967296.0);
  const auto keep_scale = static_cast<float>(1 / (1 - pass.dropout));
  at::parallel_for(0, rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const uint64_t row_seed = mix(seed + static_cast<uint64_t>(key[row]) * 0x9E3779B97F4A7C15ULL);
      for (int64_t column = 0; column < columns; ++column) {
        const auto draw =
            static_cast<uint32_t>(mix(row_seed + static_cast<uint64_t>(column)) >> 32);
        out[row * columns + column] = draw < threshold ? 0.0F : keep_scale;
      }
    }
  });
  return x * mask.to(x.options());
}

}  // namespace veomni
