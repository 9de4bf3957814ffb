// Dropout's mask by operators, which devices use, is the loop's.
#include "modalities/base/dropout.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

using namespace veomni;

TEST_CASE("dropout: the operators of a device draw the bits that the loop draws",
          "[modalities][dropout]") {
  const auto keys = at::cat({at::arange(500), at::arange(40) * (int64_t{1} << 32) + 7,
                             at::tensor({int64_t{-1}, INT64_MAX, INT64_MIN})});
  for (const uint64_t seed : {uint64_t{0}, uint64_t{12345}, ~uint64_t{0} - 5}) {
    const DropoutDraw draw{
        .seed = seed, .columns = 33, .threshold = 0x4CCCCCCC, .keep_scale = 1.4285715F};
    const auto mask = dropout_mask(keys, draw);
    CHECK(mask.equal(dropout_mask_by_operators(keys, draw)));
    const double dropped = (mask == 0).to(at::kDouble).mean().item<double>();
    CHECK(dropped == Approx(0.3).margin(0.02));
  }
}
