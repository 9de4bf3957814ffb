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
      for (size_t t = 0; t < columns[x].weights.size(); ++t) {
        const size_t from = y * in_row + (static_cast<size_t>(columns[x].first) + t) * channels;
        for (size_t c = 0; c < channels; ++c)
          narrow[y * out_row + x * channels + c] +=
              columns[x].weights[t] * static_cast<float>(image.pixels[from + c]);
      }
  std::vector<float> result(rows.size() * out_row, 0.0F);
  for (size_t y = 0; y < rows.size(); ++y)
    for (size_t t = 0; t < rows[y].weights.size(); ++t) {
      const float weight = rows[y].weights[t];
      const float* from = narrow.data() + (static_cast<size_t>(rows[y].first) + t) * out_row;
      for (size_t i = 0; i < out_row; ++i) result[y * out_row + i] += weight * from[i];
    }
  return result;
}

namespace {

constexpr int kWeightBits = 22;

double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

struct FixedTaps {
  int64_t first = 0;
  std::vector<int32_t> weights;
};

// Outputs of one axis that are asked for.
struct Span {
  int64_t begin, count;
};

std::vector<FixedTaps> make_cubic_taps(int64_t input, int64_t output, Span span) {
  const double scale = static_cast<double>(input) / static_cast<double>(output);
  const double widened = std::max(scale, 1.0), support = 2 * widened;
  std::vector<FixedTaps> taps(static_cast<size_t>(span.count));
  std::vector<double> weights;
  for (int64_t o = 0; o < span.count; ++o) {
    const double centre = (static_cast<double>(span.begin + o) + 0.5) * scale;
    // NOLINTBEGIN(bugprone-incorrect-roundings): towards zero, as Pillow does (Resample.c, precompute_coeffs)
    const auto first = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const auto last = std::min<int64_t>(input, static_cast<int64_t>(centre + support + 0.5));
    // NOLINTEND(bugprone-incorrect-roundings)
    weights.clear();
    double sum = 0;
    for (int64_t i = first; i < last; ++i) {
      weights.push_back(cubic((static_cast<double>(i) - centre + 0.5) / widened));
      sum += weights.back();
    }
    FixedTaps& tap = taps[static_cast<size_t>(o)];
    tap.first = first;
    for (const double weight : weights)
      tap.weights.push_back(
          static_cast<int32_t>(std::round(weight / sum * static_cast<double>(1 << kWeightBits))));
  }
  return taps;
}

uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

Image resize_columns(const Image& image, int64_t width, Span span) {
  const auto taps = make_cubic_taps(image.width, width, span);
  const size_t channels = static_cast<size_t>(image.channels);
  Image out{image.height, span.count, image.channels, {}};
  out.pixels.resize(static_cast<size_t>(image.height * span.count) * channels);
  uint8_t* to = out.pixels.data();
  for (int64_t y = 0; y < image.height; ++y) {
    const uint8_t* row = image.pixels.data() + static_cast<size_t>(y * image.width) * channels;
    for (const FixedTaps& tap : taps)
      for (size_t c = 0; c < channels; ++c) {
        int32_t sum = 1 << (kWeightBits - 1);
        const uint8_t* from = row + static_cast<size_t>(tap.first) * channels + c;
        for (const int32_t weight : tap.weights) {
          sum += weight * *from;
          from += channels;
        }
        *to++ = to_byte(sum);
      }
  }
  return out;
}

Image resize_rows(const Image& image, int64_t height, Span span) {
  const auto taps = make_cubic_taps(image.height, height, span);
  const size_t row = static_cast<size_t>(image.width * image.channels);
  Image out{span.count, image.width, image.channels, {}};
  out.pixels.resize(static_cast<size_t>(span.count) * row);
  std::vector<int32_t> sums(row);
  for (size_t y = 0; y < taps.size(); ++y) {
    std::fill(sums.begin(), sums.end(), 1 << (kWeightBits - 1));
    for (size_t t = 0; t < taps[y].weights.size(); ++t) {
      const uint8_t* from = image.pixels.data() + (static_cast<size_t>(taps[y].first) + t) * row;
      for (size_t i = 0; i < row; ++i) sums[i] += taps[y].weights[t] * from[i];
    }
    for (size_t i = 0; i < row; ++i) out.pixels[y * row + i] = to_byte(sums[i]);
  }
  return out;
}

}  // namespace

Image resize_bicubic(const Image& image, int64_t height, int64_t width) {
  return resize_bicubic(image, height, width, {0, 0, height, width});
}

Image resize_bicubic(const Image& image, int64_t height, int64_t width, const Window& window) {
  const bool same_columns = width == image.width && window.width == width;
  const bool same_rows = height == image.height && window.height == height;
  Image narrow = same_columns ? image : resize_columns(image, width, {window.left, window.width});
  return same_rows ? narrow : resize_rows(narrow, height, {window.top, window.height});
}

}  // namespace veomni
