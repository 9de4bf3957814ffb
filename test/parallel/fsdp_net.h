#pragma once
// A stack of small units for the tests of FSDP. T tokens, D model, F ffn

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "parallel/fsdp/unit.h"

namespace veomni::test {

constexpr int64_t kT = 12, kD = 10, kF = 14;
constexpr int kUnits = 3, kMicroBatches = 2;

/// Blocks with an auxiliary output each, and odd sizes so that padding exists.
struct Net {
  explicit Net(ParallelContext& context, bool chained = true) {
    for (int i = 0; i < kUnits; ++i) {
      const std::string prefix = "block." + std::to_string(i) + ".";
      std::vector<ParameterSpec> specs{{prefix + "norm", {kD}, Init::ones(), false},
                                       {prefix + "up", {kF, kD}, Init::normal(0.3)},
                                       {prefix + "bias", {kF}, Init::uniform(0.1), false},
                                       {prefix + "down", {kD, kF}, Init::normal(0.3)},
                                       {prefix + "unused", {3}, Init::zeros()}};
      units.push_back(
          std::make_unique<Unit>("block." + std::to_string(i), std::move(specs), context));
    }
    if (chained) Unit::chain(pointers());
  }
  std::vector<Unit*> pointers() const {
    std::vector<Unit*> result;
    for (const auto& unit : units) result.push_back(unit.get());
    return result;
  }
  /// [T, D] → (Σ h², Σ auxiliary)
  at::Tensor loss(const at::Tensor& x_TD) {
    between.clear();
    at::Tensor h_TD = x_TD, auxiliary = at::zeros({}, at::kFloat);
    for (const auto& unit : units) {
      UnitUse use = unit->enter();
      const at::Tensor n_TD = h_TD.to(use[0].scalar_type()) * use[0];
      const at::Tensor f_TF = at::silu(at::linear(n_TD, use[1], use[2]));
      const at::Tensor y_TD = h_TD + at::linear(f_TF, use[3]).to(at::kFloat);
      const auto out = use.leave({y_TD, f_TF.to(at::kFloat).softmax(-1).square().sum()});
      most_bytes = std::max(most_bytes, held());
      h_TD = out[0];
      between.push_back(h_TD);
      auxiliary = auxiliary + out[1];
    }
    return h_TD.square().sum() + auxiliary;
  }
  int64_t held() const {
    int64_t bytes = 0;
    for (const auto& unit : units) bytes += unit->gathered_bytes();
    return bytes;
  }
  std::vector<std::unique_ptr<Unit>> units;
  std::vector<at::Tensor> between;  ///< what went from unit to unit in forward
  int64_t most_bytes = 0;
};

inline at::Tensor input(int lane) {
  auto generator = at::detail::createCPUGenerator(static_cast<uint64_t>(lane) + 3);
  return at::randn({kT, kD}, generator, at::kFloat);
}

inline double relative(const at::Tensor& got, const at::Tensor& want) {
  return ((got - want).norm() / want.norm().clamp_min(1e-12)).item<double>();
}

}  // namespace veomni::test
