#include "kernels/attention.h"

#include <catch2/catch.hpp>

#include "kernels/reference.h"
#include "test/kernels/compare.h"

using namespace veomni;
using namespace veomni::test;
using kernels::AttentionShape;

namespace {

struct Case {
  const char* name;
  AttentionShape shape;
  std::vector<int> lengths;
  int rest = 0;  // rows past the last sample
  bool norm = false;
};

using kernels::RopeScaling;
const RopeScaling kDynamic{
    .type = RopeScaling::Type::dynamic, .factor = 4, .original_max_position_embeddings = 16};
const RopeScaling kYarn{.type = RopeScaling::Type::yarn,
                        .factor = 4,
                        .original_max_position_embeddings = 16,
                        .attention_factor = 1.25};

AttentionShape windowed(AttentionShape shape, int64_t window) {
  shape.window = window;
  return shape;
}

const Case kCases[] = {
    {"no tokens", {2, 1, 4}, {}},
    {"one token", {1, 1, 2}, {1}},
    {"odd sizes, rope", {2, 2, 6, true, 1e4}, {31, 1, 33}},
    {"grouped queries, norm, rope, empty samples",
     {4, 2, 30, true, 1e4},
     {0, 17, 0, 48, 5},
     3,
     true},
    {"one key head, full", {3, 1, 64, false, 1e4}, {16, 9, 64}, 0, true},
    {"head of 80", {2, 1, 80, true, 5e5}, {40, 20}, 1, true},
    {"head of 128, full, no rope", {2, 2, 128, false}, {33}},
    {"head of 256", {1, 1, 256, true, 1e4}, {18}},
    {"more keys than one block", {2, 1, 16, true, 1e4}, {301, 260}},
    {"more keys than one block, full", {1, 1, 8, false}, {530}},
    {"a quarter of the head turns", {2, 1, 32, true, 1e4, 1e-6, 8}, {40, 3}, 2},
    {"a third of the head turns, norm", {4, 2, 30, false, 1e4, 1e-6, 10}, {21}, 0, true},
    {"long samples turn slower", {2, 1, 16, true, 1e2, 1e-6, 0, kDynamic}, {40, 5, 17}, 2},
    {"no long sample", {2, 1, 16, true, 1e2, 1e-6, 0, kDynamic}, {5, 16}},
    {"yarn, half of the head", {1, 1, 16, true, 1e2, 1e-6, 8, kYarn}, {40, 5}},
    {"a window within a block", windowed({2, 1, 8, true, 1e4}, 5), {40, 3, 17}, 2},
    {"a window of one: each sees itself", windowed({1, 1, 8, true, 1e4}, 1), {19}},
    {"a window of whole blocks, more keys than one",
     windowed({2, 1, 16, true, 1e4}, 128),
     {301, 100}},
    {"an odd window, more keys than one block",
     windowed({4, 2, 6, true, 1e4}, 277),
     {530, 278},
     0,
     true},
    {"a window longer than any sample", windowed({1, 1, 8, true, 1e4}, 1000), {33}},
    {"only rows past the end", {1, 1, 4}, {0}, 5},
};

struct Built {
  Tensors inputs;  // qkv, and the two norm weights where there are any
  at::Tensor positions, cu_seqlens;
};

Built build(const Case& c) {
  std::vector<int> ends{0};
  std::vector<int64_t> positions;
  for (const int length : c.lengths) {
    ends.push_back(ends.back() + length);
    for (int i = 0; i < length; ++i) positions.push_back(i + 3);
  }
  positions.resize(positions.size() + static_cast<size_t>(c.rest));
  const auto tokens = static_cast<int64_t>(positions.size());
  const int64_t dim = c.shape.head_dim,
                width = (c.shape.query_heads + 2 * c.shape.key_value_heads) * dim;
  Built built{
      {values({tokens, width}) * 2}, at::tensor(positions, at::kLong), at::tensor(ends, at::kInt)};
  if (c.norm)
    for (const int64_t salt : {1, 2}) built.inputs.push_back(values({dim}, salt) * 0.3 + 1);
  return built;
}

Op bind(decltype(kernels::packed_attention)& run, const Case& c, const Built& built) {
  return [&run, shape = c.shape, positions = built.positions,
          cu = built.cu_seqlens](const Tensors& x) {
    const at::Tensor there = positions.to(x[0].device());
    return x.size() == 1 ? run(x[0], {}, {}, there, cu, shape)
                         : run(x[0], x[1], x[2], there, cu, shape);
  };
}

}  // namespace

TEST_CASE("attention: values and gradients equal the composed reference in f64",
          "[kernels][attention]") {
  for (const Case& c : kCases) {
    const Built built = build(c);
    const Op ours = bind(kernels::packed_attention, c, built);
    const Op exact = bind(kernels::reference::packed_attention, c, built);
    on_every_isa([&](const std::string& isa) {
      for (const auto& [type, tolerance] : kTypes) {
        INFO(c.name << ", " << isa << ", " << type);
        CHECK(worst_difference(ours, exact, built.inputs, type) < tolerance);
      }
    });
  }
}

TEST_CASE("attention: the reference agrees with finite differences and with ATen",
          "[kernels][attention]") {
  const Case c{"", {2, 1, 4, true, 1e4}, {3, 0, 2}, 1, true};
  const Built built = build(c);
  CHECK(finite_difference_error(bind(kernels::packed_attention, c, built), built.inputs) < 1e-7);

  const Case plain{"", {2, 2, 8, true}, {7}};
  const Built one = build(plain);
  const at::Tensor heads = one.inputs[0].to(at::kDouble).view({7, 6, 8}).transpose(0, 1);
  const at::Tensor out = at::scaled_dot_product_attention(
      heads.narrow(0, 0, 2).unsqueeze(0), heads.narrow(0, 2, 2).unsqueeze(0),
      heads.narrow(0, 4, 2).unsqueeze(0), {}, 0.0, true);
  const at::Tensor ours = kernels::packed_attention(one.inputs[0].to(at::kDouble), {}, {}, {},
                                                    one.cu_seqlens, plain.shape);
  CHECK(difference(ours.view({7, 2, 8}), out[0].transpose(0, 1)) < 1e-10);
}

TEST_CASE("attention: one norm weight alone is applied and gets its gradient",
          "[kernels][attention]") {
  const Case c{"", {2, 1, 8, true, 1e4}, {9}};
  const Built built = build(c);
  const Tensors inputs{built.inputs[0], values({8}) + 2};
  const auto with = [&](decltype(kernels::packed_attention)& run) -> Op {
    return [&](const Tensors& x) {
      return run(x[0], {}, x[1], built.positions, built.cu_seqlens, c.shape);
    };
  };
  CHECK(worst_difference(with(kernels::packed_attention),
                         with(kernels::reference::packed_attention), inputs, at::kFloat) < 2e-5);
}

TEST_CASE("attention: samples do not see one another, rows past the end are zero",
          "[kernels][attention]") {
  const Case c{"", {2, 1, 16, true, 1e4}, {20, 13}, 4};
  const Built built = build(c);
  const Op op = bind(kernels::packed_attention, c, built);
  const at::Tensor before = op(built.inputs);
  at::Tensor changed = built.inputs[0].clone();
  changed.narrow(0, 0, 20).add_(1);
  const at::Tensor after = op({changed});
  CHECK(before.narrow(0, 20, 13).equal(after.narrow(0, 20, 13)));
  CHECK_FALSE(before.narrow(0, 0, 20).equal(after.narrow(0, 0, 20)));
  CHECK(after.narrow(0, 33, 4).abs().max().item<float>() == 0);
}

TEST_CASE("attention: large scores, positions past the shared table, and repeated runs",
          "[kernels][attention]") {
  Case c{"", {1, 1, 16, true, 1e4}, {40}};
  Built built = build(c);
  built.inputs[0] = built.inputs[0] * 60;  // some probabilities underflow to zero
  built.positions = built.positions + 200000;
  const Op op = bind(kernels::packed_attention, c, built),
           exact = bind(kernels::reference::packed_attention, c, built);
  // Exponents of thousands, which f32 resolves to 2^-11: each order of the sums has its own last bits.
  CHECK(worst_difference(op, exact, built.inputs, at::kFloat) < 3e-3);
  const Result a = evaluate(op, built.inputs, at::kFloat),
               b = evaluate(op, built.inputs, at::kFloat);
  CHECK(a.out.equal(b.out));
  CHECK(a.gradients[0].equal(b.gradients[0]));
}

TEST_CASE("attention: wrong arguments are refused with a message", "[kernels][attention]") {
  const Case c{"", {2, 1, 8, true, 1e4}, {5}};
  const Built built = build(c);
  const at::Tensor qkv = built.inputs[0];
  const auto call = [&](const at::Tensor& x, const at::Tensor& cu, const AttentionShape& shape) {
    return kernels::packed_attention(x, {}, {}, built.positions, cu, shape);
  };
  const at::Tensor &cu = built.cu_seqlens, wide = at::zeros({5, 64});
  CHECK_THROWS_WITH(call(wide.narrow(1, 0, 32), cu, c.shape),
                    Catch::Contains("qkv must be contiguous"));
  CHECK_THROWS_WITH(call(qkv.to(at::kHalf), cu, c.shape),
                    Catch::Contains("must be f32, bf16 or f64"));
  CHECK_THROWS_WITH(call(wide, cu, c.shape), Catch::Contains("must have [tokens, 32]"));
  CHECK_THROWS_WITH(call(qkv, cu.to(at::kLong), c.shape), Catch::Contains("i32"));
  CHECK_THROWS_WITH(call(qkv, at::tensor({0, 9}, at::kInt), c.shape),
                    Catch::Contains("the 5 tokens"));
  CHECK_THROWS_WITH(call(qkv, at::tensor({0, 3, 2}, at::kInt), c.shape),
                    Catch::Contains("between 3"));
  CHECK_THROWS_WITH(call(qkv, cu, {2, 1, 7}), Catch::Contains("head_dim is 7"));
  CHECK_THROWS_WITH(call(qkv, cu, {3, 2, 8}), Catch::Contains("multiple"));
  CHECK_THROWS_WITH(
      kernels::packed_attention(qkv, at::ones({8}, at::kDouble), {}, built.positions, cu, c.shape),
      Catch::Contains("norm weight is Double"));
  CHECK_THROWS_WITH(kernels::packed_attention(qkv, {}, {}, built.positions - 9, cu, c.shape),
                    Catch::Contains("negative"));
  CHECK_THROWS_WITH(
      kernels::packed_attention(qkv, {}, {}, built.positions.to(at::kInt), cu, c.shape),
      Catch::Contains("i64"));
}

TEST_CASE(
    "attention: on a GPU, values and gradients equal the composed reference in f64; twice the same "
    "bits",
    "[.gpu]") {
  for (const Case& c : kCases) {
    const Built built = build(c);
    const Op ours = on_gpu(bind(kernels::packed_attention, c, built));
    const Op exact = bind(kernels::reference::packed_attention, c, built);
    for (const auto& [type, tolerance] : kTypes) {
      INFO(c.name << ", " << type);
      CHECK(worst_difference(ours, exact, built.inputs, type) < tolerance);
      const Result a = evaluate(ours, built.inputs, type), b = evaluate(ours, built.inputs, type);
      CHECK(a.out.equal(b.out));
      for (size_t i = 0; i < a.gradients.size(); ++i) CHECK(a.gradients[i].equal(b.gradients[i]));
    }
  }
}
