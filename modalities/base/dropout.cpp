#include "modalities/base/dropout.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "modalities/base/block.h"

namespace veomni {
namespace {

constexpr uint64_t kGolden = 0x9E3779B97F4A7C15ULL;

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

/// `x >> bits` of unsigned numbers: the device's integers are signed, so the copies of the sign are cut off. (Products wrap
/// alike.)
at::Tensor shifted(const at::Tensor& x, int64_t bits) {
  return x.bitwise_right_shift(bits).bitwise_and((int64_t{1} << (64 - bits)) - 1);
}

at::Tensor mix(const at::Tensor& x) {
  auto y = x.bitwise_xor(shifted(x, 30)).mul(static_cast<int64_t>(0xBF58476D1CE4E5B9ULL));
  y = y.bitwise_xor(shifted(y, 27)).mul(static_cast<int64_t>(0x94D049BB133111EBULL));
  return y.bitwise_xor(shifted(y, 31));
}

}  // namespace

at::Tensor dropout_mask(const at::Tensor& keys, const DropoutDraw& draw) {
  auto mask = at::empty({keys.size(0), draw.columns}, at::kFloat);
  const auto* key = keys.const_data_ptr<int64_t>();
  auto* out = mask.mutable_data_ptr<float>();
  at::parallel_for(0, keys.size(0), 64, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const uint64_t row_seed = mix(draw.seed + static_cast<uint64_t>(key[row]) * kGolden);
      for (int64_t column = 0; column < draw.columns; ++column) {
        const auto drawn =
            static_cast<uint32_t>(mix(row_seed + static_cast<uint64_t>(column)) >> 32);
        out[row * draw.columns + column] = drawn < draw.threshold ? 0.0F : draw.keep_scale;
      }
    }
  });
  return mask;
}

at::Tensor dropout_mask_by_operators(const at::Tensor& keys, const DropoutDraw& draw) {
  const auto rows = keys.mul(static_cast<int64_t>(kGolden)) + static_cast<int64_t>(draw.seed);
  const auto columns = at::arange(draw.columns, rows.options());
  const auto drawn = shifted(mix(mix(rows).unsqueeze(1) + columns), 32);
  return drawn.ge(static_cast<int64_t>(draw.threshold)).to(at::kFloat) * draw.keep_scale;
}

at::Tensor residual_dropout(const at::Tensor& x, const at::Tensor& keys, const Pass& pass,
                            const std::string& purpose) {
  if (!pass.train || pass.dropout == 0) return x;
  const DropoutDraw draw{.seed = mix(pass.noise_seed ^ hash_text(purpose)),
                         .columns = x.size(1),
                         .threshold = static_cast<uint32_t>(pass.dropout * 4294967296.0),
                         .keep_scale = static_cast<float>(1 / (1 - pass.dropout))};
  const auto mask =
      x.is_cpu() ? dropout_mask(keys, draw) : dropout_mask_by_operators(keys.to(x.device()), draw);
  return x * mask.to(x.options());
}

}  // namespace veomni
