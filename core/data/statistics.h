#pragma once
// What preprocessors learn from columns of numbers.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace veomni {

/// Mean and variance in one pass (Welford 1962), f64; the same values in the same order give the
/// same bits.
struct Moments {
  int64_t count = 0;
  double mean = 0, squares = 0;

  void add(double x) {
    ++count;
    const double delta = x - mean;
    mean += delta / static_cast<double>(count);
    squares += delta * (x - mean);
  }
  /// Of the population; 1 where all values are equal, so that it can divide.
  double deviation() const {
    const double variance = count > 0 ? squares / static_cast<double>(count) : 0;
    return variance > 0 ? std::sqrt(variance) : 1.0;
  }
};

/// The inner edges, without repetitions, of `bins` bins that hold about as many of the values each:
/// value ⌊i · n / bins⌋ in ascending order. Sorts the values.
inline std::vector<double> inner_quantiles(std::vector<double>& values, int64_t bins) {
  std::vector<double> edges;
  std::sort(values.begin(), values.end());
  for (int64_t i = 1; i < bins && !values.empty(); ++i) {
    const double edge = values[static_cast<size_t>(i) * values.size() / static_cast<size_t>(bins)];
    if (edge > values.front() && (edges.empty() || edge > edges.back())) edges.push_back(edge);
  }
  return edges;
}

}  // namespace veomni
