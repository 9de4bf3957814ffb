// Attention whose tokens several ranks share, in any number of groups of heads, is that of one rank.
#include "modalities/base/shared_attention.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "kernels/linear.h"
#include "modalities/base/block.h"
#include "parallel/comm/thread.h"

using namespace veomni;

namespace {

constexpr int64_t kDim = 12, kHeadDim = 4;

struct Case {
  int64_t query_heads, key_value_heads, ranks, tokens, groups;
  bool bias = false, norm = false;
};

// With an odd number of tokens for each; the last ones: too few tokens, fewer heads than ranks, neither divides the other.
constexpr Case kCases[] = {
    {4, 4, 2, 1031, 2, true},        {8, 8, 2, 1031, 4, false, true},
    {12, 6, 2, 1025, 3, true, true}, {16, 8, 4, 2051, 2},
    {2, 2, 2, 1031, 1, true},        {8, 8, 2, 1001, 1},
    {8, 2, 4, 2051, 1, true},        {6, 3, 2, 1031, 1},
};

struct Arguments {
  at::Tensor x;
  AttentionWeights weights;

  std::vector<at::Tensor> leaves() const {
    std::vector<at::Tensor> all{x, weights.qkv};
    for (const auto& weight : {weights.bias, weights.q_norm, weights.k_norm})
      if (weight.defined()) all.push_back(weight);
    return all;
  }
};

at::Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, at::detail::createCPUGenerator(seed), at::kFloat) * 0.5;
}

Arguments make(const Case& c) {
  const int64_t rows = (c.query_heads + 2 * c.key_value_heads) * kHeadDim;
  Arguments a{random({c.tokens, kDim}, 1), {random({rows, kDim}, 2), {}, {}, {}}};
  if (c.bias) a.weights.bias = random({rows}, 3);
  if (c.norm) a.weights.q_norm = random({kHeadDim}, 4), a.weights.k_norm = random({kHeadDim}, 5);
  return a;
}

double relative(const at::Tensor& got, const at::Tensor& want) {
  return ((got - want).norm() / want.norm()).item<double>();
}

}  // namespace

TEST_CASE("shared attention: values and gradients are one rank's, in any number of groups",
          "[modalities][sequence]") {
  const Case c = GENERATE(from_range(std::begin(kCases), std::end(kCases)));
  const bool overlap = GENERATE(true, false);
  INFO(c.query_heads << " heads, " << c.key_value_heads << " for keys, " << c.ranks << " ranks, "
                     << c.tokens << " tokens, overlap " << overlap);
  const kernels::AttentionShape shape{.query_heads = c.query_heads,
                                      .key_value_heads = c.key_value_heads,
                                      .head_dim = kHeadDim,
                                      .rope_theta = 1e4};
  const auto positions = at::arange(c.tokens) % 700;
  const auto bounds = at::tensor({int64_t{0}, int64_t{3}, int64_t{700}, c.tokens}, at::kInt);
  const auto gradient = random({c.tokens, c.query_heads * kHeadDim}, 9);

  const Arguments one = make(c);
  for (auto& leaf : one.leaves()) leaf.requires_grad_();
  const auto want =
      kernels::packed_attention(kernels::linear(one.x, one.weights.qkv, one.weights.bias),
                                one.weights.q_norm, one.weights.k_norm, positions, bounds, shape);
  want.backward(gradient);

  run_ranks(static_cast<int>(c.ranks), [&](Communicator& world) {
    std::vector<int64_t> counts;
    for (int64_t rank = 0; rank < c.ranks; ++rank)
      counts.push_back(c.tokens * (rank + 1) / c.ranks - c.tokens * rank / c.ranks);
    const int64_t begin = c.tokens * world.rank() / c.ranks, own = counts[world.rank()];
    const TokenShare share{world, counts, overlap};
    CHECK(HeadExchange(share, shape).groups() == (overlap ? c.groups : 1));
    Arguments mine = make(c);
    mine.x = mine.x.narrow(0, begin, own).clone();
    for (auto& leaf : mine.leaves()) leaf.requires_grad_();
    const TokenRow row{
        .positions = positions, .cu_seqlens = bounds, .noise_keys = {}, .share = &share};
    const auto out = shared_attention(mine.x, mine.weights, row, shape);
    out.backward(gradient.narrow(0, begin, own));
    CHECK(relative(out, want.narrow(0, begin, own)) < 1e-6);
    CHECK(relative(mine.x.grad(), one.x.grad().narrow(0, begin, own)) < 2e-6);
    for (size_t i = 1; i < mine.leaves().size(); ++i) {
      at::Tensor sum = mine.leaves()[i].grad().contiguous();
      world.all_reduce(sum);
      CHECK(relative(sum, one.leaves()[i].grad()) < 2e-6);
    }
  });
}
