// The engine's side of the CUDA operations over kernels compiled for the host (test/cuda/emulated):
// arguments, strides, tiles, saved tensors and autograd, against the same formulas composed of ATen
// operators in f64.
#include "kernels/cuda_ops.h"

#include <ATen/ATen.h>
#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "kernels/cuda_fused.h"
#include "kernels/cuda_library.h"

namespace veomni::kernels {
namespace {

/// Takes the emulated kernels while it lives; false where this build has none (sanitizers).
class Emulated {
 public:
  Emulated() {
    Dl_info info{};
    dladdr(reinterpret_cast<const void*>(&use_emulated_table), &info);
    const auto path =
        std::filesystem::path(info.dli_fname).parent_path() / "libveomni_cuda_emulated.so";
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    using Get = const VeomniCudaTable*(int);
    const auto get = reinterpret_cast<Get*>(dlsym(library, "veomni_cuda_table"));
    use_emulated_table(get(kVeomniCudaTableVersion));
  }
  ~Emulated() { use_emulated_table(nullptr); }
  explicit operator bool() const { return emulated(); }
};

using Tensors = std::vector<at::Tensor>;
using Function = std::function<at::Tensor(const Tensors&)>;

at::Tensor rand_normal(at::IntArrayRef shape) {
  static at::Generator generator = at::detail::createCPUGenerator(5);
  return at::randn(shape, generator, at::TensorOptions().dtype(at::kFloat));
}

/// Output, then the gradients of every input for a fixed weighting of the output.
Tensors run(const Function& f, const Tensors& inputs, at::ScalarType type) {
  Tensors leaves, results;
  for (const at::Tensor& input : inputs) {
    leaves.push_back(input.to(type).detach().clone().set_requires_grad(true));
  }
  const at::Tensor out = f(leaves);
  const at::Tensor pattern =
      at::cos(at::arange(out.numel(), at::TensorOptions().dtype(at::kDouble))).view(out.sizes());
  (out * pattern.to(type)).sum().backward();
  results.push_back(out.detach());
  for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad());
  return results;
}

void check_equal(const Function& cuda, const Function& reference, const Tensors& inputs) {
  const Tensors got = run(cuda, inputs, at::kFloat), want = run(reference, inputs, at::kDouble);
  for (size_t i = 0; i < want.size(); ++i) {
    INFO("result " << i << " (0: output, then gradients)");
    REQUIRE(got[i].defined());
    REQUIRE(got[i].sizes() == want[i].sizes());
    const double off = (got[i].to(at::kDouble) - want[i]).abs().max().item<double>();
    CHECK(off <= 1e-5 * (1 + want[i].abs().max().item<double>()));
  }
}

at::Tensor norm(const at::Tensor& x, const at::Tensor& weight) {
  return x * at::rsqrt(x.pow(2).mean(-1, true) + 1e-6) * weight;
}

at::Tensor swiglu_of(const at::Tensor& gate_up) {
  const auto halves = gate_up.chunk(2, -1);
  return at::silu(halves[0]) * halves[1];
}

/// [T, heads, H] turned by positions, as rotate_half.
at::Tensor turn(const at::Tensor& x, const at::Tensor& positions, const at::Tensor& cu,
                const AttentionShape& shape) {
  const int64_t half = kernels::rotary_dims(shape) / 2;
  const at::Tensor frequencies = kernels::rope_frequency_rows(shape, cu, positions.size(0));
  const at::Tensor angle = positions.to(at::kDouble).unsqueeze(1) * frequencies;
  const at::Tensor c = at::cos(angle).unsqueeze(1), s = at::sin(angle).unsqueeze(1);
  const at::Tensor a = x.narrow(2, 0, half), b = x.narrow(2, half, half);
  return at::cat({a * c - b * s, b * c + a * s, x.slice(2, 2 * half)}, 2);
}

at::Tensor attention_of(const Tensors& in, const at::Tensor& positions, const at::Tensor& cu,
                        const AttentionShape& s) {
  const int64_t tokens = in[0].size(0), repeat = s.query_heads / s.key_value_heads;
  const auto heads =
      in[0]
          .view({tokens, -1, s.head_dim})
          .split_with_sizes({s.query_heads, s.key_value_heads, s.key_value_heads}, 1);
  at::Tensor q = heads[0], k = heads[1];
  if (in.size() > 1) q = norm(q, in[1]), k = norm(k, in[2]);
  if (s.rope_theta > 0) q = turn(q, positions, cu, s), k = turn(k, positions, cu, s);
  k = k.repeat_interleave(repeat, 1);
  const at::Tensor v = heads[2].repeat_interleave(repeat, 1);
  Tensors parts;
  const auto* begin = cu.const_data_ptr<int32_t>();
  for (int64_t i = 0; i + 1 < cu.numel(); ++i) {
    const int64_t first = begin[i], count = begin[i + 1] - begin[i];
    const auto part = [&](const at::Tensor& x) {
      return x.narrow(0, first, count).transpose(0, 1);
    };
    at::Tensor score = at::matmul(part(q), part(k).transpose(1, 2)) / std::sqrt(s.head_dim);
    const at::Tensor later = at::ones({count, count}, at::kBool).triu(1);
    if (s.causal) score = score.masked_fill(later, -INFINITY);
    const at::Tensor before = at::ones({count, count}, at::kBool).tril(-s.window);
    if (s.window > 0) score = score.masked_fill(before, -INFINITY);
    parts.push_back(at::matmul(at::softmax(score, 2), part(v)).transpose(0, 1).flatten(1));
  }
  const int64_t rest = tokens - begin[cu.numel() - 1];
  parts.push_back(at::zeros({rest, s.query_heads * s.head_dim}, in[0].options()));
  return at::cat(parts, 0);
}

struct Kind {
  bool causal, rope, norms;
  int64_t window = 0;
};

}  // namespace

TEST_CASE("cuda ops: norms and swiglu match ATen, with gradients", "[kernels][cuda]") {
  const Emulated kernels;
  if (!kernels) return;
  const Tensors inputs = {rand_normal({7, 24}), rand_normal({7, 24}), rand_normal({24})};
  check_equal([](const Tensors& t) { return cuda::rms_norm(t[0], t[1], 1e-6); },
              [](const Tensors& t) { return norm(t[0], t[1]); }, {inputs[0], inputs[2]});
  check_equal(
      [](const Tensors& t) {
        const auto [sum, y] = cuda::add_rms_norm(t[0], t[1], t[2], 1e-6);
        return at::cat({sum, y}, 1);
      },
      [](const Tensors& t) {
        return at::cat({t[0] + t[1], norm(t[0] + t[1], t[2])}, 1);
      },
      inputs);
  check_equal([](const Tensors& t) { return cuda::swiglu(t[0]); },
              [](const Tensors& t) { return swiglu_of(t[0]); }, {inputs[0]});
}

TEST_CASE("cuda ops: linear_cross_entropy matches ATen, with gradients", "[kernels][cuda]") {
  const Emulated kernels;
  if (!kernels) return;
  const at::Tensor labels = at::tensor({3, 0, -100, 10, 5}, at::kLong);
  const at::Tensor weights = at::tensor({1.0, 0.5, 2.0, 0.0, 1.5}, at::kFloat);
  at::Tensor losses, correct;
  const auto reference = [&](const Tensors& t) {
    const at::Tensor logits = at::mm(t[0], t[1].t());
    const at::Tensor each = at::cross_entropy_loss(logits, labels, {}, at::Reduction::None);
    return 0.25 * (each * weights).sum();
  };
  check_equal(
      [&](const Tensors& t) {
        return cuda::linear_cross_entropy(t[0], t[1], labels, weights, 0.25, &losses, &correct);
      },
      reference, {rand_normal({5, 8}), rand_normal({11, 8})});
  CHECK(losses.size(0) == 5);
  CHECK(losses[2].item<float>() == 0);
  CHECK(correct[2].item<int>() == 0);
  const at::Tensor hidden = rand_normal({5, 8}), small = rand_normal({10, 8});
  CHECK_THROWS_WITH(cuda::linear_cross_entropy(hidden, small, labels, weights, 1, nullptr, nullptr),
                    Catch::Contains("a label is neither -100 nor below the vocabulary of 10"));
}

TEST_CASE("cuda ops: packed attention matches ATen, with gradients", "[kernels][cuda]") {
  const Emulated kernels;
  if (!kernels) return;
  const Kind kind =
      GENERATE(Kind{true, true, true}, Kind{false, false, false}, Kind{true, true, false},
               Kind{false, false, true}, Kind{true, true, false, 5}, Kind{true, true, true, 1});
  const bool causal = kind.causal, rope = kind.rope, norms = kind.norms;
  AttentionShape shape{4, 2, 16, causal, rope ? 1e4 : 0, 1e-6, norms ? 0 : 6};
  shape.window = kind.window;
  if (!causal || !norms)  // the second sample of 38 is longer than the original length
    shape.rope_scaling = {.type = kernels::RopeScaling::Type::dynamic,
                          .factor = 2,
                          .original_max_position_embeddings = 20};
  const at::Tensor cu = at::tensor({0, 3, 3, 41}, at::kInt);  // 43 rows: two belong to no sample
  const at::Tensor positions = at::cat({at::arange(3), at::arange(40)});
  Tensors inputs = {rand_normal({43, 128})};
  if (norms) inputs.push_back(rand_normal({16})), inputs.push_back(rand_normal({16}));
  check_equal(
      [&](const Tensors& t) {
        return cuda::packed_attention(t[0], norms ? t[1] : at::Tensor(),
                                      norms ? t[2] : at::Tensor(), rope ? positions : at::Tensor(),
                                      cu, shape);
      },
      [&](const Tensors& t) { return attention_of(t, positions, cu, shape); }, inputs);
}

TEST_CASE("cuda ops: moe_experts matches ATen, an expert without tokens included",
          "[kernels][cuda]") {
  const Emulated kernels;
  if (!kernels) return;
  const at::Tensor chosen = at::tensor({0, 3, 3, 1, 0, 1, 1, 3, 3, 0}, at::kLong).view({5, 2});
  const auto reference = [&](const Tensors& t) {
    at::Tensor out = at::zeros_like(t[0]);
    for (int64_t j = 0; j < 2; ++j) {
      const at::Tensor expert = chosen.select(1, j);
      const at::Tensor up = at::einsum("tfd,td->tf", {t[2].index_select(0, expert), t[0]});
      const at::Tensor y = at::einsum("tdf,tf->td", {t[3].index_select(0, expert), swiglu_of(up)});
      out = out + t[1].narrow(1, j, 1) * y;
    }
    return out;
  };
  check_equal(
      [&](const Tensors& t) { return cuda::moe_experts(t[0], t[1], chosen, t[2], t[3]); },
      reference,
      {rand_normal({5, 8}), rand_normal({5, 2}), rand_normal({4, 12, 8}), rand_normal({4, 8, 6})});
  const at::Tensor x = rand_normal({5, 8}), gates = rand_normal({5, 2});
  CHECK_THROWS_WITH(
      cuda::moe_experts(x, gates, chosen, rand_normal({3, 12, 8}), rand_normal({3, 8, 6})),
      Catch::Contains("outside the 3 experts"));
}

TEST_CASE("cuda ops: embedding and its touched rows match ATen", "[kernels][cuda]") {
  const Emulated kernels;
  if (!kernels) return;
  const at::Tensor ids = at::tensor({4, 0, 4, 2, 4, 0}, at::kLong);
  check_equal([&](const Tensors& t) { return cuda::embedding(t[0], ids); },
              [&](const Tensors& t) { return t[0].index_select(0, ids); }, {rand_normal({6, 5})});
  const at::Tensor grad = rand_normal({6, 5});
  const TouchedRowsCuda touched = embedding_touched_cuda(grad, ids);
  CHECK(touched.ids.equal(at::tensor({0, 2, 4}, at::kLong)));
  const at::Tensor dense = at::zeros({6, 5}).index_add(0, ids, grad);
  CHECK(at::allclose(touched.grad, dense.index_select(0, touched.ids)));
  CHECK_THROWS_WITH(cuda::embedding(rand_normal({4, 5}), ids),
                    Catch::Contains("outside the 4 rows"));
}

TEST_CASE("cuda ops: adamw and sum_of_squares match ATen", "[kernels][cuda]") {
  const Emulated kernels;
  if (!kernels) return;
  at::Tensor parameter = rand_normal({300}), m = at::zeros({300}), v = at::zeros({300});
  const at::Tensor gradient = rand_normal({300});
  at::Tensor want = parameter.to(at::kDouble) * (1 - 0.01 * 0.1);
  const at::Tensor g = gradient.to(at::kDouble) * 0.5;
  want = want - 0.01 * g / (g.abs() + 1e-8);  // the first step: both corrections cancel
  adamw_cuda_(parameter, gradient, m, v, {0.01, 0.9, 0.999, 1e-8, 0.1, 1, 0.5});
  CHECK(at::allclose(parameter.to(at::kDouble), want, 1e-6, 1e-7));
  CHECK(sum_of_squares_cuda(gradient) ==
        Approx(gradient.to(at::kDouble).pow(2).sum().item<double>()).epsilon(1e-12));
}

TEST_CASE("cuda ops: tensors elsewhere are refused", "[kernels][cuda]") {
  if (!cuda_built()) return;
  CHECK_THROWS_WITH(cuda::swiglu(at::ones({2, 4})), Catch::Contains("must be on a GPU"));
}

}  // namespace veomni::kernels
