#include "core/philox.h"

#include <catch2/catch.hpp>
#include <cmath>

using veomni::fill_normal;
using veomni::fill_uniform;
using veomni::philox;
using veomni::RandomRange;
using Block = std::array<uint32_t, 4>;

TEST_CASE("philox: the published known answers", "[parallel][philox]") {
  // Random123's kat_vectors for philox4x32 with 10 rounds.
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("philox: an element does not depend on the range it is drawn in", "[parallel][philox]") {
  std::vector<float> whole(1003);
  fill_normal({"w", 7, 0, 1003}, 0.5, whole.data());
  for (const int64_t begin : {0, 1, 2, 3, 4, 511}) {
    std::vector<float> part(37);
    fill_normal({"w", 7, begin, begin + 37}, 0.5, part.data());
    CHECK(std::equal(part.begin(), part.end(), whole.begin() + begin));
  }
  std::vector<float> other(1003);
  fill_normal({"v", 7, 0, 1003}, 0.5, other.data());
  CHECK(other != whole);
  fill_normal({"w", 8, 0, 1003}, 0.5, other.data());
  CHECK(other != whole);
}

TEST_CASE("philox: moments of the distributions", "[parallel][philox]") {
  constexpr int64_t kCount = 200'000;
  std::vector<float> values(kCount);
  const auto moment = [&](int power) {
    double sum = 0;
    for (const float value : values) sum += std::pow(static_cast<double>(value), power);
    return sum / kCount;
  };
  fill_normal({"x", 1, 0, kCount}, 2, values.data());
  CHECK(moment(1) == Approx(0).margin(0.02));
  CHECK(moment(2) == Approx(4).epsilon(0.02));
  CHECK(moment(4) == Approx(3 * 16).epsilon(0.05));
  fill_uniform({"x", 1, 0, kCount}, 3, values.data());
  CHECK(moment(1) == Approx(0).margin(0.02));
  CHECK(moment(2) == Approx(3).epsilon(0.02));
  CHECK(*std::max_element(values.begin(), values.end()) <= 3);
}
