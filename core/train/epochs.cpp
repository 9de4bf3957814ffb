#include "core/train/epochs.h"

#include <algorithm>
#include <cmath>

#include "core/data/sample.h"

namespace veomni {
namespace {

double mean_length(const Dataset& data, int32_t source, int64_t size) {
  constexpr int64_t kProbes = 64;
  const int64_t probes = std::min(size, kProbes);
  double tokens = 0;
  for (int64_t i = 0; i < probes; ++i) {
    const int64_t at = i * size / probes;
    tokens += static_cast<double>(data.train_samples(source, at, at + 1).at(0).ids.size());
  }
  return probes > 0 ? tokens / static_cast<double>(probes) : 0;
}

}  // namespace

int64_t planned_steps(const Recipe& recipe, const Dataset& data) {
  if (recipe.train.steps > 0) return recipe.train.steps;
  double tokens = 0;
  for (size_t s = 0; s < recipe.sources.size(); ++s) {
    const auto source = static_cast<int32_t>(s);
    const int64_t size = data.source_size(source, /*eval=*/false);
    tokens += recipe.train.epochs * static_cast<double>(size) * mean_length(data, source, size);
  }
  const auto step_tokens = static_cast<double>(recipe.train.packs * recipe.train.pack_tokens);
  return std::max<int64_t>(1, std::llround(std::ceil(tokens / step_tokens)));
}

}  // namespace veomni
