// Every variation of the Transformer block against the same block composed of ATen operators by its parameters' names.
#include "modalities/base/block.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <map>

#include "parallel/comm/thread.h"
#include "parallel/mesh.h"

using namespace veomni;

namespace {

BlockConfig sizes() {
  BlockConfig config;
  config.hidden_size = 24;
  config.intermediate_size = 40;
  config.num_attention_heads = config.num_key_value_heads = 4;
  config.head_dim = 6;
  config.norm_eps = 1e-3;
  config.initializer_range = 0.3;
  return config;
}

BlockConfig gpt2() {
  auto config = sizes();
  config.norm = NormType::layer_norm;
  config.attention_bias = config.attention_output_bias = config.mlp_bias = true;
  config.activation = kernels::Activation::gelu_tanh;
  config.gated_mlp = false;
  return config;
}

BlockConfig gpt_neox() {
  auto config = gpt2();
  config.activation = kernels::Activation::gelu;
  config.rope_theta = 100;
  config.rotary_dims = 2;
  config.parallel_residual = true;
  return config;
}

BlockConfig whisper() {
  auto config = gpt2();
  config.activation = kernels::Activation::gelu;
  config.key_bias = config.causal = false;
  return config;
}

BlockConfig clip() {
  auto config = gpt2();
  config.activation = kernels::Activation::quick_gelu;
  config.causal = false;
  return config;
}

BlockConfig llama_with_biases() {
  auto config = sizes();
  config.num_key_value_heads = 2;
  config.attention_bias = config.attention_output_bias = config.mlp_bias = config.qk_norm = true;
  config.rope_theta = 50;
  return config;
}

BlockConfig geglu() {
  auto config = sizes();
  config.activation = kernels::Activation::gelu_tanh;
  return config;
}

class Composed {
 public:
  Composed(const BlockConfig& config, std::map<std::string, at::Tensor> parameters)
      : c_(config), p_(std::move(parameters)) {}

  at::Tensor forward(const at::Tensor& x, const at::Tensor& bounds) const {
    const auto attended = attention(norm(x, "input_layernorm"), bounds);
    const auto middle = x + attended;
    if (!c_.parallel_residual)
      return middle + feed_forward(norm(middle, "post_attention_layernorm"));
    return middle + feed_forward(norm(x, "post_attention_layernorm"));
  }

 private:
  at::Tensor get(const std::string& name) const {
    const auto found = p_.find("b." + name);
    return found == p_.end() ? at::Tensor() : found->second;
  }
  at::Tensor linear(const at::Tensor& x, const std::string& name) const {
    const auto y = at::matmul(x, get(name + ".weight").t());
    return get(name + ".bias").defined() ? y + get(name + ".bias") : y;
  }
  at::Tensor norm(const at::Tensor& x, const std::string& name) const {
    const bool centred = c_.norm == NormType::layer_norm;
    const auto y = centred ? x - x.mean(-1, true) : x;
    const auto scaled =
        y / (y.square().mean(-1, true) + c_.norm_eps).sqrt() * get(name + ".weight");
    return centred ? scaled + get(name + ".bias") : scaled;
  }
  at::Tensor turn(const at::Tensor& x) const {  // [L, heads, H] at positions 0, 1, …
    if (c_.rope_theta == 0) return x;
    const int64_t dims = c_.rotary_dims > 0 ? c_.rotary_dims : c_.head_dim, half = dims / 2;
    const auto frequency = at::pow(c_.rope_theta, at::arange(half) * -2.0 / dims);
    const auto angle = at::arange(x.size(0)).unsqueeze(1) * frequency;
    const auto cosine = angle.cos().unsqueeze(1), sine = angle.sin().unsqueeze(1);
    const auto a = x.slice(2, 0, half), b = x.slice(2, half, dims);
    return at::cat({a * cosine - b * sine, b * cosine + a * sine, x.slice(2, dims)}, 2);
  }
  at::Tensor heads(at::Tensor rows, const char* which) const {
    rows = rows.view({rows.size(0), -1, c_.head_dim});
    if (c_.qk_norm) rows = norm(rows, std::string("self_attn.") + which + "_norm");
    return turn(rows);
  }
  at::Tensor attention(const at::Tensor& x, const at::Tensor& bounds) const {
    const int64_t q_rows = c_.num_attention_heads * c_.head_dim,
                  kv_rows = c_.num_key_value_heads * c_.head_dim;
    const auto weight = get("self_attn.qkv_proj.weight"), bias = get("self_attn.qkv_proj.bias");
    const auto part = [&](int64_t begin, int64_t rows, int64_t bias_begin) {
      auto y = at::matmul(x, weight.narrow(0, begin, rows).t());
      return bias.defined() && bias_begin >= 0 ? y + bias.narrow(0, bias_begin, rows) : y;
    };
    const auto q = part(0, q_rows, 0), k = part(q_rows, kv_rows, c_.key_bias ? q_rows : -1),
               v = part(q_rows + kv_rows, kv_rows, q_rows + (c_.key_bias ? kv_rows : 0));
    std::vector<at::Tensor> rows;
    for (int64_t s = 0; s + 1 < bounds.size(0); ++s) {
      const int64_t begin = bounds[s].item<int>(), end = bounds[s + 1].item<int>();
      const auto sample = [&](const at::Tensor& y) { return y.slice(0, begin, end); };
      rows.push_back(attend(heads(sample(q), "q"), heads(sample(k), "k"),
                            sample(v).view({end - begin, -1, c_.head_dim})));
    }
    return linear(at::cat(rows), "self_attn.o_proj");
  }
  at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) const {
    const int64_t group = c_.num_attention_heads / c_.num_key_value_heads, length = q.size(0);
    const auto keys = k.repeat_interleave(group, 1), values = v.repeat_interleave(group, 1);
    auto scores = at::einsum("qhd,khd->hqk", {q, keys}) / std::sqrt(c_.head_dim);
    if (c_.causal)
      scores = scores.masked_fill(at::ones({length, length}, at::kBool).triu(1), -INFINITY);
    return at::einsum("hqk,khd->qhd", {scores.softmax(-1), values}).reshape({length, -1});
  }
  at::Tensor activation(const at::Tensor& x) const {
    switch (c_.activation) {
      case kernels::Activation::silu:
        return x * x.sigmoid();
      case kernels::Activation::gelu:
        return x * 0.5 * (1 + (x / std::sqrt(2.0)).erf());
      case kernels::Activation::gelu_tanh:
        return x * 0.5 * (1 + ((x + 0.044715 * x.pow(3)) * std::sqrt(2 / M_PI)).tanh());
      default:
        return x * (1.702 * x).sigmoid();
    }
  }
  at::Tensor feed_forward(const at::Tensor& x) const {
    const int64_t F = c_.intermediate_size;
    if (!c_.gated_mlp) return linear(activation(linear(x, "mlp.up_proj")), "mlp.down_proj");
    const auto up = linear(x, "mlp.gate_up_proj");
    return linear(activation(up.narrow(1, 0, F)) * up.narrow(1, F, F), "mlp.down_proj");
  }

  BlockConfig c_;
  std::map<std::string, at::Tensor> p_;
};

/// Values that differ in every element and matter: fresh biases are 0 and norms 1.
void disturb(Shard& shard) {
  const auto noise = at::arange(shard.master.numel(), at::kDouble) * 0.7548776662;
  shard.master.add_((noise.frac() - 0.5).to(at::kFloat) * 0.4);
}

void check_block(const BlockConfig& config, Communicator& world) {
  Mesh mesh(world, MeshShape{1, 1});
  ParallelContext context;
  mesh.fill(context);
  Block block(describe_block("b.", config), config, context);
  std::map<std::string, at::Tensor> parameters;
  std::map<std::string, Unit*> unit_of;
  for (auto* unit : block.units()) {
    disturb(unit->shard());
    for (const auto& parameter : unit->parameters()) {
      unit_of[parameter.name] = unit;
      parameters[parameter.name] = unit->full_parameter(parameter.name).requires_grad_();
    }
  }
  const auto bounds = at::tensor({0, 5, 6, 13}, at::kInt);
  const auto positions = at::cat({at::arange(5), at::arange(1), at::arange(7)});
  const auto x = (at::arange(13 * 24, at::kDouble) * 0.618).frac().to(at::kFloat).view({13, 24});
  const auto weight =
      (at::arange(13 * 24, at::kDouble) * 0.37).frac().to(at::kFloat).view({13, 24});

  const auto ours_in = x.clone().requires_grad_(), theirs_in = x.clone().requires_grad_();
  for (auto* unit : block.units()) unit->zero_gradient();
  const auto out = block.forward({ours_in, {}}, {positions, bounds, {}}, {}, nullptr);
  const auto ours = out.sum + out.branch;
  (ours * weight).sum().backward();
  Unit::reduce_gradients(block.units());
  const auto theirs = Composed(config, parameters).forward(theirs_in, bounds);
  (theirs * weight).sum().backward();
  CHECK(ours.allclose(theirs, 1e-4, 1e-4));
  CHECK(ours_in.grad().allclose(theirs_in.grad(), 1e-3, 1e-3));
  for (const auto& [name, parameter] : parameters) {
    INFO(name);
    const auto gradient = unit_of.at(name)->full_gradient(name);
    const double scale = std::max(1e-2, parameter.grad().norm().item<double>());
    CHECK((gradient - parameter.grad()).norm().item<double>() < 2e-5 * scale);
  }
}

}  // namespace

TEST_CASE("block: every variation equals its composition, outputs and gradients",
          "[modalities][block]") {
  const std::pair<const char*, BlockConfig> variations[] = {
      {"plain", sizes()},     {"gpt2", gpt2()}, {"gpt_neox", gpt_neox()},
      {"whisper", whisper()}, {"clip", clip()}, {"llama with biases", llama_with_biases()},
      {"geglu", geglu()}};
  for (const auto& [name, config] : variations) {
    INFO(name);
    run_ranks(1,
              [&, &its_config = config](Communicator& world) { check_block(its_config, world); });
  }
}

TEST_CASE("block: parameters stand where block_parameters says", "[modalities][block]") {
  for (const auto& config : {sizes(), gpt2(), gpt_neox(), whisper(), llama_with_biases()}) {
    const auto unit = describe_block("b.", config);
    const auto at = block_parameters(config);
    const auto expect = [&](BlockParameters::Place place, const std::string& name, bool bias) {
      CHECK(unit.parameters.at(place.weight).name == "b." + name + ".weight");
      REQUIRE((place.bias != BlockParameters::kAbsent) == bias);
      if (bias) CHECK(unit.parameters.at(place.bias).name == "b." + name + ".bias");
    };
    const bool layer_norm = config.norm == NormType::layer_norm;
    expect(at.input_norm, "input_layernorm", layer_norm);
    expect(at.qkv, "self_attn.qkv_proj", config.attention_bias);
    expect(at.output, "self_attn.o_proj", config.attention_output_bias);
    expect(at.post_norm, "post_attention_layernorm", layer_norm);
    expect(at.up, config.gated_mlp ? "mlp.gate_up_proj" : "mlp.up_proj", config.mlp_bias);
    expect(at.down, "mlp.down_proj", config.mlp_bias);
    CHECK(unit.parameters.size() == at.down.weight + 1 + (config.mlp_bias ? 1 : 0));
  }
}
