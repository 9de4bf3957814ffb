#include "kernels/cached_attention.h"

#include <catch2/catch.hpp>

#include "kernels/linear.h"
#include "test/kernels/compare.h"

using namespace veomni;
using namespace veomni::test;
using kernels::AttentionShape;

namespace {

struct Case {
  const char* name;
  AttentionShape shape;
  std::vector<int> lengths;
  bool norm = false;
};

AttentionShape windowed(AttentionShape shape, int64_t window) {
  shape.window = window;
  return shape;
}

const Case kCases[] = {
    {"one token", {1, 1, 2, true, 1e4}, {1}},
    {"odd sizes", {2, 2, 6, true, 1e4}, {31, 1, 33}},
    {"grouped queries, norm", {6, 2, 30, true, 1e4}, {17, 48, 5}, true},
    {"one key head, no rope, norm", {7, 1, 64}, {16, 9, 64}, true},
    {"head of 256", {5, 1, 256, true, 5e5}, {18, 3}},
    {"a window within a panel", windowed({2, 1, 8, true, 1e4}, 5), {40, 3}},
    {"a window over panels", windowed({4, 2, 16, true, 1e4}, 90), {301, 260}},
    {"more panels than are read at a time", {4, 2, 16, true, 1e4}, {301, 260}},
};

struct Built {
  at::Tensor qkv, q_weight, k_weight, positions, cu_seqlens;
  kernels::CachedRows rows;
};

/// The samples of a packed row, each in a slot of its own; slots in another order than samples.
Built build(const Case& c, at::ScalarType type) {
  const auto samples = static_cast<int64_t>(c.lengths.size());
  const int64_t dim = c.shape.head_dim;
  std::vector<int> ends{0};
  std::vector<int64_t> slots, places;
  for (int64_t s = 0; s < samples; ++s) {
    ends.push_back(ends.back() + c.lengths[static_cast<size_t>(s)]);
    for (int64_t i = 0; i < c.lengths[static_cast<size_t>(s)]; ++i) {
      slots.push_back(samples - s);
      places.push_back(i);
    }
  }
  const auto tokens = static_cast<int64_t>(places.size());
  const std::vector<int64_t> cache{samples + 1, c.shape.key_value_heads, 21, dim, 16};
  Built b;
  b.qkv =
      (values({tokens, (c.shape.query_heads + 2 * c.shape.key_value_heads) * dim}) * 2).to(type);
  if (c.norm) b.q_weight = (values({dim}, 1) * 0.3 + 1).to(type);
  if (c.norm) b.k_weight = (values({dim}, 2) * 0.3 + 1).to(type);
  b.positions = at::tensor(places, at::kLong) + 3;
  b.cu_seqlens = at::tensor(ends, at::kInt);
  // What another text has left in a slot must not show.
  b.rows = {at::full(cache, 50.0, b.qkv.options()), at::full(cache, 50.0, b.qkv.options()),
            at::tensor(slots, at::kLong), at::tensor(places, at::kLong)};
  return b;
}

at::Tensor cached(const Case& c, const Built& b) {
  kernels::append_to_cache(b.qkv, b.k_weight, b.positions, b.rows, c.shape);
  return kernels::cached_attention(b.qkv, b.q_weight, b.positions, b.rows, c.shape);
}

at::Tensor packed(const Case& c, const Built& b) {
  const auto exact = [](const at::Tensor& x) { return x.defined() ? x.to(at::kDouble) : x; };
  return kernels::packed_attention(exact(b.qkv), exact(b.q_weight), exact(b.k_weight), b.positions,
                                   b.cu_seqlens, c.shape);
}

kernels::CachedRows row_of(const kernels::CachedRows& rows, int64_t t) {
  return {rows.keys, rows.values, rows.slots.narrow(0, t, 1), rows.places.narrow(0, t, 1)};
}

}  // namespace

TEST_CASE("cached attention: every token of a packed row, from the cache, equals packed attention",
          "[kernels][cached_attention]") {
  for (const Case& c : kCases) {
    on_every_isa([&](const std::string& isa) {
      for (const auto& [type, tolerance] :
           {std::pair(at::kFloat, 2e-5), std::pair(at::kBFloat16, 3e-2),
            std::pair(at::kDouble, 1e-12)}) {
        INFO(c.name << ", " << isa << ", " << type);
        const Built b = build(c, type);
        CHECK(difference(cached(c, b).to(at::kDouble), packed(c, b)) < tolerance);
      }
    });
  }
}

TEST_CASE("cached attention: a token's result does not depend on the other rows, to the bit",
          "[kernels][cached_attention]") {
  const Case& c = kCases[2];
  const Built b = build(c, at::kFloat);
  const at::Tensor all = cached(c, b);
  for (const int64_t t : {0, 16, 17, 64, 69}) {
    INFO(t);
    const at::Tensor one = kernels::cached_attention(
        b.qkv.narrow(0, t, 1), b.q_weight, b.positions.narrow(0, t, 1), row_of(b.rows, t), c.shape);
    CHECK(one[0].equal(all[t]));
  }
}

TEST_CASE("cached attention: places outside the cache and shapes that differ are refused",
          "[kernels][cached_attention]") {
  const Case& c = kCases[1];
  const Built b = build(c, at::kFloat);
  const auto refused = [&](const kernels::CachedRows& rows, const std::string& message) {
    CHECK_THROWS_WITH(kernels::cached_attention(b.qkv, {}, b.positions, rows, c.shape),
                      Catch::Contains(message));
  };
  auto rows = b.rows;
  rows.places = b.rows.places + 336 - 32;
  refused(rows, "places[64] is 336");
  rows = b.rows;
  rows.slots = b.rows.slots - 2;
  refused(rows, "slots[32] is -1, must be at least 0 and less than 4");
  rows = b.rows;
  rows.values = b.rows.values.narrow(2, 0, 3).contiguous();
  refused(rows, "values has shape");
  rows = b.rows;
  rows.keys = b.rows.keys.to(at::kBFloat16);
  refused(rows, "keys is BFloat16");
}

TEST_CASE("linear: few rows are exact, and a row's result does not depend on the others",
          "[kernels][linear]") {
  on_every_isa([&](const std::string& isa) {
    for (const auto& [type, tolerance] : kTypes)
      for (const int64_t depth : {1, 15, 64, 172, 173}) {
        INFO(isa << ", " << type << ", depth " << depth);
        const at::Tensor x = values({7, depth}).to(type), w = values({13, depth}, 1).to(type),
                         bias = values({13}, 2).to(type), residual = values({7, 13}, 3).to(type);
        const auto exact = [](const at::Tensor& t) { return t.to(at::kDouble); };
        const at::Tensor y = kernels::linear(x, w, bias);
        CHECK(difference(exact(y), at::linear(exact(x), exact(w), exact(bias)), 1) < tolerance);
        CHECK(difference(exact(kernels::linear_add(x, w, residual)),
                         at::linear(exact(x), exact(w)) + exact(residual), 1) < tolerance);
        for (int64_t t = 0; t < 7; ++t)
          CHECK(kernels::linear(x.narrow(0, t, 1), w, bias)[0].equal(y[t]));
      }
  });
}
