#include "core/philox.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace veomni {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const unsigned char byte : text) hash = (hash ^ byte) * 0x100000001b3ULL;
  return hash;
}

/// (0, 1]: the logarithm of it is finite.
float unit_interval(uint32_t bits) { return (static_cast<float>(bits >> 8) + 1) * 0x1p-24f; }

std::array<float, 4> normals(const std::array<uint32_t, 4>& bits) {
  std::array<float, 4> values{};
  for (size_t pair = 0; pair < 4; pair += 2) {
    const float radius = std::sqrt(-2 * std::log(unit_interval(bits[pair])));
    const float angle = 2 * std::numbers::pi_v<float> * unit_interval(bits[pair + 1]);
    values[pair] = radius * std::cos(angle);
    values[pair + 1] = radius * std::sin(angle);
  }
  return values;
}

std::array<float, 4> uniforms(const std::array<uint32_t, 4>& bits) {
  std::array<float, 4> values{};
  for (size_t i = 0; i < 4; ++i) values[i] = 2 * unit_interval(bits[i]) - 1;
  return values;
}

/// Four elements come from one counter: the low half counts blocks, the high half is the name.
template <class Transform>
void fill(const RandomRange& range, double scale, float* out, Transform transform) {
  const uint64_t stream = fnv1a(range.name), seed = static_cast<uint64_t>(range.seed);
  const std::array<uint32_t, 2> key{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  for (int64_t element = range.begin; element < range.end;) {
    const uint64_t block = static_cast<uint64_t>(element) / 4;
    const auto values =
        transform(philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                          static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)},
                         key));
    const int64_t stop = std::min(range.end, static_cast<int64_t>(block * 4 + 4));
    for (; element < stop; ++element) {
      out[element - range.begin] =
          static_cast<float>(scale) * values[static_cast<size_t>(element % 4)];
    }
  }
}

}  // namespace

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{kMultiplier0} * counter[0];
    const uint64_t product1 = uint64_t{kMultiplier1} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

void fill_normal(const RandomRange& range, double deviation, float* out) {
  fill(range, deviation, out, normals);
}

void fill_uniform(const RandomRange& range, double half_width, float* out) {
  fill(range, half_width, out, uniforms);
}

}  // namespace veomni
