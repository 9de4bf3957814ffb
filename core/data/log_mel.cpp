#include <algorithm>
#include <cmath>
#include <complex>
#include <map>
#include <mutex>
#include <numbers>

#include "core/data/sound.h"
#include "core/error.h"

namespace veomni {
namespace {

using Complex = std::complex<double>;

constexpr int64_t kWindow = 400, kBins = kWindow / 2 + 1;
constexpr double kFloor = 1e-10;

/// Fourier transform of a size whose factors are small, one factor a level (Cooley & Tukey 1965).
class Fourier {
 public:
  explicit Fourier(size_t size) : size_(size) {
    for (size_t k = 0; k < size; ++k)
      roots_.push_back(std::polar(
          1.0, -2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(size)));
  }

  /// in [size] with `stride` → out [size]
  void run(const Complex* in, Complex* out) const { level(in, out, size_, 1); }

 private:
  void level(const Complex* in, Complex* out, size_t size, size_t stride) const {
    if (size == 1) {
      out[0] = in[0];
      return;
    }
    size_t factor = 2;
    while (size % factor != 0) ++factor;
    const size_t part = size / factor;
    for (size_t f = 0; f < factor; ++f)
      level(in + f * stride, out + f * part, part, stride * factor);
    Complex column[5];  // the factors of kWindow are 2 and 5
    for (size_t k = 0; k < part; ++k) {
      for (size_t f = 0; f < factor; ++f)
        column[f] = out[f * part + k] * roots_[f * k * stride % size_];
      for (size_t j = 0; j < factor; ++j) {
        Complex sum = column[0];
        for (size_t f = 1; f < factor; ++f)
          sum += column[f] * roots_[f * j * part * stride % size_];
        out[j * part + k] = sum;
      }
    }
  }

  size_t size_;
  std::vector<Complex> roots_;
};

/// Slaney's Auditory Toolbox: linear below 1 kHz, logarithmic above.
double mel_to_hertz(double mel) {
  return mel < 15 ? mel * 200 / 3 : 1000 * std::exp(std::log(6.4) / 27 * (mel - 15));
}
double hertz_to_mel(double hertz) {
  return hertz < 1000 ? hertz * 3 / 200 : 15 + std::log(hertz / 1000) * 27 / std::log(6.4);
}

/// A triangle over the bins [first, first + weights.size()), of area 2 / width in Hz.
struct Filter {
  size_t first = 0;
  std::vector<double> weights;
};

std::vector<Filter> make_filters(int64_t count) {
  const double top = hertz_to_mel(static_cast<double>(kSpeechRate) / 2);
  std::vector<double> edges;
  for (int64_t i = 0; i < count + 2; ++i)
    edges.push_back(mel_to_hertz(top * static_cast<double>(i) / static_cast<double>(count + 1)));
  std::vector<Filter> filters;
  for (size_t m = 0; m + 2 < edges.size(); ++m) {
    Filter filter;
    for (int64_t bin = 0; bin < kBins; ++bin) {
      const double hertz = static_cast<double>(bin * kSpeechRate) / kWindow;
      const double up = (hertz - edges[m]) / (edges[m + 1] - edges[m]);
      const double down = (edges[m + 2] - hertz) / (edges[m + 2] - edges[m + 1]);
      const double weight = std::min(up, down) * 2 / (edges[m + 2] - edges[m]);
      if (weight <= 0) continue;
      if (filter.weights.empty()) filter.first = static_cast<size_t>(bin);
      filter.weights.push_back(weight);
    }
    filters.push_back(std::move(filter));
  }
  return filters;
}

const std::vector<Filter>& filters_of(int64_t count) {
  static std::mutex mutex;
  static std::map<int64_t, std::vector<Filter>> made;
  const std::lock_guard lock(mutex);
  auto& filters = made[count];
  if (filters.empty()) filters = make_filters(count);
  return filters;
}

std::vector<double> hann_window() {
  std::vector<double> window;
  for (int64_t i = 0; i < kWindow; ++i)
    window.push_back(0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / kWindow));
  return window;
}

/// The padded sound, mirrored at both ends by half a window.
class Signal {
 public:
  Signal(const float* samples, int64_t count, int64_t length)
      : samples_(samples), count_(count), length_(length) {}
  double operator[](int64_t i) const {
    if (i < 0) i = -i;
    if (i >= length_) i = 2 * (length_ - 1) - i;
    return i < count_ ? samples_[i] : 0.0;
  }

 private:
  const float* samples_;
  int64_t count_, length_;
};

/// Power spectra of two frames by one transform: real signals are the real and the imaginary part.
void power_of_pair(const Signal& signal, int64_t frame, std::vector<double>* power) {
  static const Fourier fourier(kWindow);
  static const std::vector<double> window = hann_window();
  Complex in[kWindow], out[kWindow];
  const int64_t first = frame * kSpeechHop - kWindow / 2;
  for (int64_t i = 0; i < kWindow; ++i)
    in[i] =
        window[static_cast<size_t>(i)] * Complex(signal[first + i], signal[first + kSpeechHop + i]);
  fourier.run(in, out);
  for (int64_t k = 0; k < kBins; ++k) {
    const Complex a = out[k], b = std::conj(out[(kWindow - k) % kWindow]);
    power[0][static_cast<size_t>(k)] = std::norm(a + b) / 4;
    power[1][static_cast<size_t>(k)] = std::norm(a - b) / 4;
  }
}

double filtered(const Filter& filter, const std::vector<double>& power) {
  double sum = 0;
  for (size_t i = 0; i < filter.weights.size(); ++i)
    sum += filter.weights[i] * power[filter.first + i];
  return std::log10(std::max(sum, kFloor));
}

}  // namespace

std::vector<float> log_mel(const float* samples, int64_t count, int64_t mel_bins, int64_t frames) {
  const int64_t length = frames * kSpeechHop;
  require<Error>(count >= 0 && count <= length && length > kWindow / 2 && mel_bins > 0,
                 "log_mel: {} samples in {} frames of {} bins", count, frames, mel_bins);
  const auto& filters = filters_of(mel_bins);
  const Signal signal(samples, count, length);
  // Frames that see silence only need no transform; those at the end see the mirrored end.
  const int64_t heard = count + 2 * kWindow >= length
                            ? frames
                            : std::min(frames, (count + kWindow / 2) / kSpeechHop + 1);
  std::vector<double> logs(static_cast<size_t>(mel_bins * frames), std::log10(kFloor));
  std::vector<double> power[2]{std::vector<double>(kBins), std::vector<double>(kBins)};
  for (int64_t frame = 0; frame < heard; frame += 2) {
    power_of_pair(signal, frame, power);
    for (int64_t half = 0; half < 2 && frame + half < heard; ++half)
      for (int64_t m = 0; m < mel_bins; ++m)
        logs[static_cast<size_t>(m * frames + frame + half)] =
            filtered(filters[static_cast<size_t>(m)], power[half]);
  }
  const double least = *std::max_element(logs.begin(), logs.end()) - 8;
  std::vector<float> out(logs.size());
  std::transform(logs.begin(), logs.end(), out.begin(),
                 [&](double x) { return static_cast<float>((std::max(x, least) + 4) / 4); });
  return out;
}

}  // namespace veomni
