#include "core/data/resize.h"

#include <algorithm>
#include <cmath>

namespace veomni {
namespace {

struct Taps {
  int64_t first = 0;
  std::vector<float> weights;
};

// The input pixels and weights, of sum 1, behind each output pixel of one axis.
std::vector<Taps> make_taps(int64_t input, int64_t output) {
  const double scale = static_cast<double>(input) / static_cast<double>(output);
  const double support = std::max(scale, 1.0);
  std::vector<Taps> taps(static_cast<size_t>(output));
  for (int64_t o = 0; o < output; ++o) {
    const double centre = (static_cast<double>(o) + 0.5) * scale;
    const auto first = std::max<int64_t>(0, static_cast<int64_t>(std::floor(centre - support)));
    const auto last = std::min<int64_t>(input, static_cast<int64_t>(std::ceil(centre + support)));
    std::vector<double> weights;
    double sum = 0;
    for (int64_t i = first; i < last; ++i) {
      const double distance = std::abs((static_cast<double>(i) + 0.5 - centre) / support);
      weights.push_back(std::max(0.0, 1.0 - distance));
      sum += weights.back();
    }
    Taps& tap = taps[static_cast<size_t>(o)];
    tap.first = first;
    for (const double weight : weights) tap.weights.push_back(static_cast<float>(weight / sum));
  }
  return taps;
}

}  // namespace

std::vector<float> resize_bilinear(const Image& image, int64_t height, int64_t width) {
  const auto columns = make_taps(image.width, width), rows = make_taps(image.height, height);
  const size_t channels = static_cast<size_t>(image.channels);
  const size_t in_row = static_cast<size_t>(image.width) * channels;
  const size_t out_row = static_cast<size_t>(width) * channels;
  std::vector<float> narrow(static_cast<size_t>(image.height) * out_row, 0.0F);
  for (size_t y = 0; y < static_cast<size_t>(image.height); ++y)
    for (size_t x = 0; x < columns.size(); ++x)
      for (size_t t = 0; t < columns[x].weights.size(); ++t)
        for (size_t c = 0; c < channels; ++c)
          narrow[y * out_row + x * channels + c] +=
              columns[x].weights[t] *
              image.pixels[y * in_row + (static_cast<size_t>(columns[x].first) + t) * channels + c];
  std::vector<float> result(rows.size() * out_row, 0.0F);
  for (size_t y = 0; y < rows.size(); ++y)
    for (size_t t = 0; t < rows[y].weights.size(); ++t) {
      const float weight = rows[y].weights[t];
      const float* from = narrow.data() + (static_cast<size_t>(rows[y].first) + t) * out_row;
      for (size_t i = 0; i < out_row; ++i) result[y * out_row + i] += weight * from[i];
    }
  return result;
}

}  // namespace veomni
