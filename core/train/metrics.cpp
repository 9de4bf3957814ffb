#include "core/train/metrics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace veomni {
namespace {

/// Weighted mean of f over predictions; 0 for none.
template <class F>
double mean(const std::vector<Prediction>& predictions, F f) {
  double sum = 0, weight = 0;
  for (const auto& p : predictions) {
    sum += p.weight * f(p);
    weight += p.weight;
  }
  return weight > 0 ? sum / weight : 0;
}

}  // namespace

std::optional<double> auc(const std::vector<Prediction>& predictions, double positive_above) {
  std::vector<size_t> order(predictions.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return predictions[a].score < predictions[b].score; });
  double negatives = 0, positives = 0, pairs = 0;
  for (size_t i = 0; i < order.size();) {
    double tied_positives = 0, tied_negatives = 0;
    const double score = predictions[order[i]].score;
    for (; i < order.size() && predictions[order[i]].score == score; ++i) {
      const auto& p = predictions[order[i]];
      (p.label > positive_above ? tied_positives : tied_negatives) += p.weight;
    }
    pairs += tied_positives * (negatives + 0.5 * tied_negatives);
    positives += tied_positives;
    negatives += tied_negatives;
  }
  if (positives <= 0 || negatives <= 0) return {};
  return pairs / (positives * negatives);
}

std::optional<double> grouped_auc(const std::vector<Prediction>& predictions) {
  std::map<double, std::vector<Prediction>> groups;
  for (const auto& p : predictions) {
    if (p.group != 0) groups[p.group].push_back(p);
  }
  double sum = 0, weight = 0;
  for (const auto& [group, members] : groups) {
    const auto value = auc(members);
    if (!value) continue;
    double group_weight = 0;
    for (const auto& p : members) group_weight += p.weight;
    sum += group_weight * *value;
    weight += group_weight;
  }
  if (weight <= 0) return {};
  return sum / weight;
}

double accuracy_of_classes(const std::vector<Prediction>& predictions) {
  return mean(predictions, [](const Prediction& p) { return p.score == p.label ? 1.0 : 0.0; });
}

double accuracy_at_half(const std::vector<Prediction>& predictions) {
  return mean(predictions,
              [](const Prediction& p) { return (p.score > 0.5) == (p.label > 0.5) ? 1.0 : 0.0; });
}

double log_loss(const std::vector<Prediction>& predictions) {
  return mean(predictions, [](const Prediction& p) {
    const double q = std::clamp(p.score, 1e-12, 1 - 1e-12);
    return -(p.label * std::log(q) + (1 - p.label) * std::log1p(-q));
  });
}

double rmse(const std::vector<Prediction>& predictions) {
  return std::sqrt(mean(
      predictions, [](const Prediction& p) { return (p.score - p.label) * (p.score - p.label); }));
}

double mae(const std::vector<Prediction>& predictions) {
  return mean(predictions, [](const Prediction& p) { return std::abs(p.score - p.label); });
}

std::optional<double> calibration(const std::vector<Prediction>& predictions) {
  const double predicted = mean(predictions, [](const Prediction& p) { return p.score; });
  const double actual = mean(predictions, [](const Prediction& p) { return p.label; });
  if (actual == 0) return {};
  return predicted / actual;
}

}  // namespace veomni
