#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "core/data/sound.h"
#include "core/error.h"

namespace veomni {
namespace {

constexpr double kZeroCrossings = 6, kRolloff = 0.99;

/// Output sample n lies at input place n · from / to; its filter depends on n modulo `to` only.
struct Phase {
  int64_t first = 0;  ///< input sample of the first weight, relative to from · (n / to)
  std::vector<float> weights;
};

Phase make_phase(int64_t phase, int64_t from, int64_t to) {
  const double cutoff = static_cast<double>(std::min(from, to)) * kRolloff;
  const double scale = cutoff / static_cast<double>(from);
  const double place = static_cast<double>(phase * from) / static_cast<double>(to);
  const double reach = kZeroCrossings / scale;
  Phase out{static_cast<int64_t>(std::ceil(place - reach)), {}};
  for (int64_t i = out.first; static_cast<double>(i) < place + reach; ++i) {
    const double t = (static_cast<double>(i) - place) * scale, x = t * std::numbers::pi;
    const double window = std::cos(x / kZeroCrossings / 2);
    out.weights.push_back(
        static_cast<float>((x == 0 ? 1 : std::sin(x) / x) * window * window * scale));
  }
  return out;
}

}  // namespace

Sound resample(const Sound& sound, int64_t rate) {
  require<Error>(sound.rate > 0 && rate > 0, "resample: {} Hz to {} Hz", sound.rate, rate);
  if (sound.rate == rate) return sound;
  const int64_t common = std::gcd(sound.rate, rate), from = sound.rate / common, to = rate / common;
  const auto count = static_cast<int64_t>(sound.samples.size());
  Sound out{rate, std::vector<float>(static_cast<size_t>((count * to + from - 1) / from))};
  std::vector<Phase> phases;
  for (int64_t p = 0; p < std::min(to, static_cast<int64_t>(out.samples.size())); ++p)
    phases.push_back(make_phase(p, from, to));
  for (size_t n = 0; n < out.samples.size(); ++n) {
    const auto place = static_cast<int64_t>(n);
    const Phase& phase = phases[static_cast<size_t>(place % to)];
    const int64_t first = phase.first + place / to * from;
    const int64_t begin = std::max<int64_t>(0, -first);
    const int64_t end = std::min(static_cast<int64_t>(phase.weights.size()), count - first);
    float sum = 0;
    for (int64_t i = begin; i < end; ++i)
      sum += phase.weights[static_cast<size_t>(i)] * sound.samples[static_cast<size_t>(first + i)];
    out.samples[n] = sum;
  }
  return out;
}

}  // namespace veomni
