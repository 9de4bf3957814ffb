#include "kernels/rope.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "kernels/attention.h"

namespace veomni::kernels {
namespace {

using Type = RopeScaling::Type;

double dynamic_theta(double theta, int64_t dims, const RopeScaling& scaling, int64_t length) {
  const double original = scaling.original_max_position_embeddings;
  const double longest = std::max(original, static_cast<double>(length));
  const double d = static_cast<double>(dims);
  return theta * std::pow(scaling.factor * longest / original - (scaling.factor - 1), d / (d - 2));
}

double llama3(double frequency, const RopeScaling& scaling) {
  const double turns = scaling.original_max_position_embeddings * frequency / (2 * M_PI);
  if (turns < scaling.low_freq_factor) return frequency / scaling.factor;
  if (turns > scaling.high_freq_factor) return frequency;
  const double smooth =
      (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return (1 - smooth) * frequency / scaling.factor + smooth * frequency;
}

/// Where yarn's ramp from kept to divided frequencies begins and ends, in pairs.
std::pair<double, double> yarn_range(double theta, int64_t dims, const RopeScaling& scaling) {
  const auto pair_of = [&](double turns) {
    return static_cast<double>(dims) *
           std::log(scaling.original_max_position_embeddings / (turns * 2 * M_PI)) /
           (2 * std::log(theta));
  };
  double low = pair_of(scaling.beta_fast), high = pair_of(scaling.beta_slow);
  if (scaling.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, static_cast<double>(dims - 1));
  return {low, low == high ? high + 0.001 : high};
}

}  // namespace

std::vector<double> rope_frequencies(double theta, int64_t dims, const RopeScaling& scaling,
                                     int64_t length) {
  if (scaling.type == Type::dynamic) theta = dynamic_theta(theta, dims, scaling, length);
  std::vector<double> frequencies(static_cast<size_t>(dims / 2));
  for (size_t i = 0; i < frequencies.size(); ++i)
    frequencies[i] = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(dims));
  if (scaling.type == Type::linear)
    for (double& frequency : frequencies) frequency /= scaling.factor;
  if (scaling.type == Type::llama3)
    for (double& frequency : frequencies) frequency = llama3(frequency, scaling);
  if (scaling.type == Type::yarn) {
    const auto [low, high] = yarn_range(theta, dims, scaling);
    for (size_t i = 0; i < frequencies.size(); ++i) {
      const double divided = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
      frequencies[i] *= divided / scaling.factor + (1 - divided);
    }
  }
  return frequencies;
}

at::Tensor rope_frequency_rows(const AttentionShape& shape, const at::Tensor& cu_seqlens,
                               int64_t tokens) {
  const int64_t dims = rotary_dims(shape);
  const auto row_of = [&](int64_t length) {
    return at::tensor(rope_frequencies(shape.rope_theta, dims, shape.rope_scaling, length),
                      at::kDouble);
  };
  const int32_t* begin = cu_seqlens.const_data_ptr<int32_t>();
  const int64_t samples = cu_seqlens.numel() - 1;
  int64_t longest = 0;
  for (int64_t s = 0; s < samples; ++s)
    longest = std::max<int64_t>(longest, begin[s + 1] - begin[s]);
  const bool alike =
      shape.rope_scaling.type != Type::dynamic ||
      static_cast<double>(longest) <= shape.rope_scaling.original_max_position_embeddings;
  if (alike) return row_of(0).unsqueeze(0);
  const at::Tensor rows = at::zeros({tokens, dims / 2}, at::kDouble);
  for (int64_t s = 0; s < samples; ++s)
    rows.slice(0, begin[s], begin[s + 1]).copy_(row_of(begin[s + 1] - begin[s]));
  return rows;
}

at::Tensor rope_angles(const AttentionShape& shape, const at::Tensor& positions) {
  const at::NoGradGuard no_grad;
  const auto options = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor shared = at::tensor(
      rope_frequencies(shape.rope_theta, rotary_dims(shape), shape.rope_scaling, 0), options);
  std::vector<at::Tensor> angles;
  int64_t first = 0;
  for (size_t row = 0; row < shape.rope_sections.size(); ++row) {
    const int64_t pairs = shape.rope_sections[row];
    if (pairs == 0) continue;
    const at::Tensor frequencies =
        shape.rope_restarts
            ? at::pow(shape.rope_theta, -at::arange(pairs, options) / static_cast<double>(pairs))
            : shared.narrow(0, first, pairs);
    angles.push_back(positions[static_cast<int64_t>(row)].to(at::kDouble).unsqueeze(1) *
                     frequencies.to(positions.device()));
    first += pairs;
  }
  return at::cat(angles, 1);
}

}  // namespace veomni::kernels
