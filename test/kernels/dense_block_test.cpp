#include "kernels/dense_block.h"

#include <ATen/Parallel.h>

#include <catch2/catch.hpp>

#include "kernels/reference.h"
#include "test/kernels/compare.h"

using namespace veomni;
using namespace veomni::test;
namespace reference = kernels::reference;
using kernels::AttentionShape;
using kernels::DenseBlockWeights;

namespace {

struct Case {
  const char* name;
  int64_t dim, ffn;
  AttentionShape shape;
  std::vector<int> lengths;
  int rest = 0;  // rows past the last sample
  bool branch = true, bias = false, head_norm = false;
};

AttentionShape windowed(AttentionShape shape, int64_t window) {
  shape.window = window;
  return shape;
}

const Case kCases[] = {
    {"first block, one short sample", 32, 40, {2, 2, 16, true, 1e4}, {17}, 0, false},
    {"many samples, more rows than a piece", 48, 72, {3, 3, 16, true, 1e4}, {64, 1, 70, 0, 33}},
    {"bias, grouped heads, rows past the end",
     40,
     24,
     {4, 2, 10, true, 1e4},
     {50, 30},
     5,
     true,
     true},
    {"norm of heads, first block", 32, 56, {2, 1, 24, true, 5e5}, {90, 6}, 0, false, false, true},
    {"a window", 24, 16, windowed({3, 1, 8, true, 1e4}, 20), {16, 70, 130}},
    {"full attention without rotation", 24, 16, {3, 1, 8, false}, {16, 16, 130}},
};

struct Built {
  Tensors inputs;  // sum, [branch], then the weights that there are
  at::Tensor positions, cu_seqlens;
};

Built build(const Case& c) {
  std::vector<int> ends{0};
  for (const int length : c.lengths) ends.push_back(ends.back() + length);
  const int64_t T = ends.back() + c.rest, D = c.dim, H = c.shape.head_dim;
  const int64_t width = c.shape.query_heads * H, qkv = width + 2 * c.shape.key_value_heads * H;
  Built built{{values({T, D}, 1)}, at::arange(T, at::kLong) % 40, at::tensor(ends, at::kInt)};
  const auto add = [&](at::IntArrayRef shape, double scale, double shift = 0) {
    built.inputs.push_back(values(shape, static_cast<int64_t>(built.inputs.size())) * scale +
                           shift);
  };
  if (c.branch) add({T, D}, 1);
  add({D}, 0.3, 1);
  add({qkv, D}, 0.3);
  if (c.bias) add({qkv}, 0.5);
  if (c.head_norm) add({H}, 0.3, 1), add({H}, 0.3, 1);
  add({D, width}, 0.3);
  add({D}, 0.3, 1);
  add({2 * c.ffn, D}, 0.3);
  add({D, c.ffn}, 0.3);
  return built;
}

struct Arguments {
  at::Tensor sum, branch;
  DenseBlockWeights weights;
};

Arguments split(const Case& c, const Tensors& x) {
  size_t i = 0;
  Arguments a{x[i++], {}, {}};
  if (c.branch) a.branch = x[i++];
  a.weights.input_norm = x[i++];
  a.weights.qkv = x[i++];
  if (c.bias) a.weights.qkv_bias = x[i++];
  if (c.head_norm) a.weights.q_norm = x[i++], a.weights.k_norm = x[i++];
  a.weights.output = x[i++];
  a.weights.post_norm = x[i++];
  a.weights.gate_up = x[i++];
  a.weights.down = x[i++];
  return a;
}

constexpr double kEpsilon = 1e-5;

Op fused(const Case& c, const Built& built) {
  return [&](const Tensors& x) {
    const Arguments a = split(c, x);
    const auto [middle, fed] = kernels::dense_block(a.sum, a.branch, a.weights, built.positions,
                                                    built.cu_seqlens, c.shape, kEpsilon);
    return at::cat({middle, fed}, 1);
  };
}

/// The block from LibTorch's operators and the composed attention.
Op composed(const Case& c, const Built& built) {
  return [&](const Tensors& x) {
    const Arguments a = split(c, x);
    const at::Tensor input = a.branch.defined() ? a.sum + a.branch : a.sum;
    const auto qkv = at::linear(reference::rms_norm(input, a.weights.input_norm, kEpsilon),
                                a.weights.qkv, a.weights.qkv_bias);
    const auto mixed = reference::packed_attention(qkv, a.weights.q_norm, a.weights.k_norm,
                                                   built.positions, built.cu_seqlens, c.shape);
    const at::Tensor middle = input + at::linear(mixed, a.weights.output);
    const auto gates =
        at::linear(reference::rms_norm(middle, a.weights.post_norm, kEpsilon), a.weights.gate_up)
            .chunk(2, 1);
    return at::cat({middle, at::linear(at::silu(gates[0]) * gates[1], a.weights.down)}, 1);
  };
}

/// With this many threads; then as before.
template <class F>
auto with_threads(int threads, const F& body) {
  const int before = at::get_num_threads();
  at::set_num_threads(threads);
  auto result = body();
  at::set_num_threads(before);
  return result;
}

}  // namespace

TEST_CASE("dense block: values and gradients equal the composed block in f64",
          "[kernels][dense_block]") {
  for (const Case& c : kCases) {
    const Built built = build(c);
    on_every_isa([&](const std::string& isa) {
      if (!kernels::has_dense_block(built.inputs[0])) return;
      INFO(c.name << ", " << isa);
      CHECK(worst_difference(fused(c, built), composed(c, built), built.inputs, at::kFloat) < 2e-5);
    });
  }
}

TEST_CASE("dense block: the same bits on one thread and on five", "[kernels][dense_block]") {
  const Case& c = kCases[1];
  const Built built = build(c);
  if (!kernels::has_dense_block(built.inputs[0])) return;
  const auto run = [&] { return evaluate(fused(c, built), built.inputs, at::kFloat); };
  const Result one = with_threads(1, run), five = with_threads(5, run);
  CHECK(at::equal(one.out, five.out));
  for (size_t i = 0; i < one.gradients.size(); ++i) {
    INFO("input " << i);
    CHECK(at::equal(one.gradients[i], five.gradients[i]));
  }
}

TEST_CASE("dense block: gradients are written into the memory that is given for them",
          "[kernels][dense_block]") {
  const Case& c = kCases[1];
  const Built built = build(c);
  if (!kernels::has_dense_block(built.inputs[0])) return;
  const Result without = evaluate(fused(c, built), built.inputs, at::kFloat);
  Tensors leaves;
  for (const at::Tensor& input : built.inputs) leaves.push_back(input.clone().requires_grad_());
  const Arguments a = split(c, leaves);
  std::vector<std::pair<const void*, at::Tensor>> given;
  const auto home = [&](const at::Tensor& parameter) {
    for (const auto& [address, memory] : given) CHECK(address != parameter.const_data_ptr());
    return given
        .emplace_back(parameter.const_data_ptr(),
                      at::full_like(parameter, NAN, at::kFloat).detach())
        .second.detach();
  };
  const auto [middle, fed] = kernels::dense_block(a.sum, a.branch, a.weights, built.positions,
                                                  built.cu_seqlens, c.shape, kEpsilon, home);
  const at::Tensor out = at::cat({middle, fed}, 1);
  out.backward(values(out.sizes(), 99));
  CHECK(given.size() == 6);  // four matrices, two norms
  for (size_t i = 0; i < leaves.size(); ++i) {
    CHECK(leaves[i].grad().to(at::kDouble).equal(without.gradients[i]));
    for (const auto& [address, memory] : given)
      if (address == leaves[i].const_data_ptr())
        CHECK(leaves[i].grad().const_data_ptr() == memory.const_data_ptr());
  }
  const auto wrong = [](const at::Tensor&) { return at::empty({1}); };
  const auto [m, f] = kernels::dense_block(a.sum, a.branch, a.weights, built.positions,
                                           built.cu_seqlens, c.shape, kEpsilon, wrong);
  CHECK_THROWS_WITH(at::cat({m, f}, 1).sum().backward(),
                    Catch::Contains("shaped as its parameter"));
}

TEST_CASE("dense block: one output used, frozen weights, nothing recorded",
          "[kernels][dense_block]") {
  const Case& c = kCases[2];
  const Built built = build(c);
  if (!kernels::has_dense_block(built.inputs[0])) return;
  for (const int64_t half : {0, 1}) {
    const auto only = [&](const Op& op) -> Op {
      return [=](const Tensors& x) { return op(x).chunk(2, 1)[static_cast<size_t>(half)]; };
    };
    CHECK(worst_difference(only(fused(c, built)), only(composed(c, built)), built.inputs,
                           at::kFloat) < 2e-5);
  }
  const auto input_gradient = [&](const Op& op, at::ScalarType type) {
    Tensors inputs;
    for (const at::Tensor& x : built.inputs) inputs.push_back(x.to(type));
    inputs[0].requires_grad_();
    const at::Tensor out = op(inputs);
    out.backward(values(out.sizes(), 99).to(type));
    return inputs[0].grad().to(at::kDouble);
  };
  CHECK(difference(input_gradient(fused(c, built), at::kFloat),
                   input_gradient(composed(c, built), at::kDouble)) < 2e-5);
  const at::NoGradGuard no_grad;
  CHECK(difference(fused(c, built)(built.inputs), composed(c, built)(built.inputs)) < 2e-5);
}

TEST_CASE("dense block: each input trained alone has the gradient that it has among all",
          "[kernels][dense_block][groups]") {
  for (const Case& c : kCases) {
    const Built built = build(c);
    if (!kernels::has_dense_block(built.inputs[0])) return;
    const Result all = evaluate(fused(c, built), built.inputs, at::kFloat);
    for (size_t alone = 0; alone < built.inputs.size(); ++alone) {
      INFO(c.name << ", input " << alone);
      Tensors inputs;
      for (const at::Tensor& x : built.inputs) inputs.push_back(x.clone());
      inputs[alone].requires_grad_();
      const at::Tensor out = fused(c, built)(inputs);
      out.backward(values(out.sizes(), 99));
      CHECK(inputs[alone].grad().to(at::kDouble).equal(all.gradients[alone]));
      for (size_t other = 0; other < inputs.size(); ++other)
        CHECK(inputs[other].grad().defined() == (other == alone));
    }
  }
}

TEST_CASE("dense block: a second backward is refused, for the first overwrites what forward kept",
          "[kernels][dense_block]") {
  const Case& c = kCases[0];
  const Built built = build(c);
  Tensors inputs;
  for (const at::Tensor& x : built.inputs)
    inputs.push_back(x.to(at::kFloat).detach().requires_grad_());
  if (!kernels::has_dense_block(inputs[0])) return;
  const at::Tensor out = fused(c, built)(inputs).sum();
  out.backward({}, /*retain_graph=*/true);
  CHECK_THROWS_WITH(out.backward(), Catch::Contains("a second backward"));
}

TEST_CASE("dense block: refuses what it cannot take", "[kernels][dense_block]") {
  const Case& c = kCases[1];
  const Built built = build(c);
  if (!kernels::has_dense_block(built.inputs[0])) return;
  const auto refused = [&](size_t which, const at::Tensor& instead) {
    Tensors inputs = built.inputs;
    inputs[which] = instead;
    CHECK_THROWS_AS(fused(c, built)(inputs), c10::Error);
  };
  refused(0, values({4, c.dim}));
  refused(1, values({5, c.dim}));
  refused(3, values({7, c.dim}));
  refused(6, values({2 * c.ffn, c.dim}).to(at::kDouble));
  CHECK_FALSE(kernels::has_dense_block(built.inputs[0].to(at::kBFloat16)));
}
