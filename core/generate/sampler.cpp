#include "core/generate/sampler.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/philox.h"

namespace veomni {
namespace {

size_t likeliest(std::span<const float> logits) {
  size_t best = logits.size();
  for (size_t i = 0; i < logits.size(); ++i)
    if (!std::isnan(logits[i]) && (best == logits.size() || logits[i] > logits[best])) best = i;
  require<ConfigError>(best < logits.size() && std::isfinite(logits[best]),
                       "generate: the model's logits are not finite; its weights are damaged, or "
                       "the training that made them diverged");
  return best;
}

void normalize(std::vector<Candidate>& all) {
  double sum = 0;
  for (const auto& candidate : all) sum += candidate.probability;
  for (auto& candidate : all) candidate.probability /= sum;
}

template <class Keep>
void keep_if(std::vector<Candidate>& all, const Keep& keep) {
  std::erase_if(all, [&](const Candidate& candidate) { return !keep(candidate); });
}

}  // namespace

double uniform_at(uint64_t seed, int64_t step) {
  const auto low = [](uint64_t x) { return static_cast<uint32_t>(x); };
  const auto high = [](uint64_t x) { return static_cast<uint32_t>(x >> 32); };
  const auto place = static_cast<uint64_t>(step);
  const auto bits = philox({low(place), high(place), 0x67656eu, 0}, {low(seed), high(seed)});
  return std::ldexp(static_cast<double>((uint64_t{bits[1]} << 32 | bits[0]) >> 11), -53);
}

void Sampler::penalize(std::span<float> logits, const std::vector<int64_t>& ids) const {
  if (settings_.repetition_penalty == 1) return;
  const auto penalty = static_cast<float>(settings_.repetition_penalty);
  std::vector<int64_t> once = ids;
  std::sort(once.begin(), once.end());
  once.erase(std::unique(once.begin(), once.end()), once.end());
  for (const int64_t id : once) {
    if (id < 0 || id >= static_cast<int64_t>(logits.size())) continue;
    float& logit = logits[static_cast<size_t>(id)];
    logit = logit < 0 ? logit * penalty : logit / penalty;
  }
}

void Sampler::keep_top_k(std::vector<Candidate>& all) const {
  if (settings_.top_k <= 0 || settings_.top_k >= static_cast<int64_t>(all.size())) return;
  auto sorted = all;
  const auto kth = sorted.begin() + (settings_.top_k - 1);
  std::nth_element(sorted.begin(), kth, sorted.end(),
                   [](const auto& a, const auto& b) { return a.probability > b.probability; });
  keep_if(all, [least = kth->probability](const auto& c) { return c.probability >= least; });
}

/// The least likely tokens go as long as all that went have at most 1 - top_p together.
void Sampler::keep_top_p(std::vector<Candidate>& all) const {
  if (settings_.top_p >= 1) return;
  normalize(all);
  // Together, tokens with less than this share each cannot reach the bound: they need no sorting.
  const double spare = 1 - settings_.top_p, sure = spare / static_cast<double>(all.size());
  double removed = 0;
  for (const auto& c : all) removed += c.probability < sure ? c.probability : 0;
  keep_if(all, [&](const auto& c) { return c.probability >= sure; });
  auto sorted = all;
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.probability != b.probability ? a.probability < b.probability : a.id > b.id;
  });
  std::vector<int64_t> gone;
  for (size_t i = 0; i + 1 < sorted.size(); ++i) {
    removed += sorted[i].probability;
    if (removed > spare) break;
    gone.push_back(sorted[i].id);
  }
  std::sort(gone.begin(), gone.end());
  keep_if(all, [&](const auto& c) { return !std::binary_search(gone.begin(), gone.end(), c.id); });
}

std::vector<Candidate> Sampler::candidates(std::span<float> logits,
                                           const std::vector<int64_t>& ids) const {
  const auto vocabulary = static_cast<size_t>(settings_.vocab_size);
  if (vocabulary > 0 && vocabulary < logits.size()) logits = logits.first(vocabulary);
  penalize(logits, ids);
  const size_t best = likeliest(logits);
  if (settings_.temperature == 0) return {{static_cast<int64_t>(best), 1}};
  const double top = logits[best];
  std::vector<Candidate> all;
  all.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((logits[i] - top) / settings_.temperature);
    if (weight > 0) all.push_back({static_cast<int64_t>(i), weight});
  }
  keep_top_k(all);
  keep_top_p(all);
  double most = 0;
  for (const auto& candidate : all) most = std::max(most, candidate.probability);
  if (settings_.min_p > 0)
    keep_if(all, [&](const auto& c) { return c.probability >= settings_.min_p * most; });
  normalize(all);
  return all;
}

int64_t Sampler::choose(std::span<float> logits, const std::vector<int64_t>& ids,
                        int64_t step) const {
  const auto all = candidates(logits, ids);
  double left = all.size() > 1 ? uniform_at(settings_.seed, step) : 0;
  for (const auto& candidate : all) {
    left -= candidate.probability;
    if (left < 0) return candidate.id;
  }
  return all.back().id;  // the probabilities' sum is 1 but for rounding
}

}  // namespace veomni
