#include "parallel/fsdp/layout.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>
#include <unordered_map>

#include "core/error.h"
#include "core/philox.h"

namespace veomni {
namespace {

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

int64_t elements(const ParameterSpec& parameter) {
  int64_t count = 1;
  for (const int64_t size : parameter.held_shape()) {
    require<Error>(size >= 0, "{}: negative size {}", parameter.name, size);
    count *= size;
  }
  return count;
}

/// Elements [begin, end) of Whisper's table (Radford et al. 2022): sines of a row, then its cosines.
void fill_sinusoids(int64_t begin, int64_t end, int64_t columns, float* out) {
  const int64_t half = columns / 2;
  const double step = std::log(10000.0) / static_cast<double>(half - 1);
  for (int64_t i = begin; i < end; ++i) {
    const int64_t row = i / columns, column = i % columns;
    const double angle =
        static_cast<double>(row) * std::exp(-step * static_cast<double>(column % half));
    *out++ = static_cast<float>(column < half ? std::sin(angle) : std::cos(angle));
  }
}

void draw(const ParameterSpec& parameter, const ShardSlice& slice, int64_t seed, float* out) {
  constexpr int64_t kGrain = 1 << 14;
  if (parameter.init.kind == Init::Kind::zeros) return;  // as they are
  at::parallel_for(slice.begin, slice.end, kGrain, [&](int64_t begin, int64_t end) {
    const RandomRange range{parameter.name, seed, begin, end};
    float* to = out + (begin - slice.begin);
    switch (parameter.init.kind) {
      case Init::Kind::zeros:
        return;
      case Init::Kind::ones:
        return std::fill(to, to + (end - begin), 1.F);
      case Init::Kind::normal:
        return fill_normal(range, parameter.init.scale, to);
      case Init::Kind::uniform:
        return fill_uniform(range, parameter.init.scale, to);
      case Init::Kind::sinusoids:
        return fill_sinusoids(begin, end, static_cast<int64_t>(parameter.init.scale), to);
    }
  });
}

}  // namespace

FlatLayout::FlatLayout(const std::vector<ParameterSpec>& parameters, int ranks)
    : starts(parameters.size()), counts(parameters.size()) {
  order.resize(parameters.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const auto place_of = [](const ParameterSpec& p) {
      return std::tuple(p.frozen, p.group, !p.decay);
    };
    return place_of(parameters[a]) < place_of(parameters[b]);
  });
  place(parameters, false, ranks);
  trained = total;
  place(parameters, true, ranks);
}

void FlatLayout::place(const std::vector<ParameterSpec>& parameters, bool frozen, int ranks) {
  const int64_t begin = total;
  const auto pad_to = [&](int64_t end) {
    if (end > total && !frozen) gaps.push_back({total, end});
    total = end;
  };
  for (const size_t i : order) {
    if (parameters[i].frozen != frozen) continue;
    starts[i] = total;
    counts[i] = elements(parameters[i]);
    total += counts[i];
    pad_to(round_up(total, kFlatAlignment));
  }
  pad_to(begin + round_up(total - begin, ranks * kFlatAlignment));
}

std::vector<FlatLayout::Zone> FlatLayout::zones() const {
  std::vector<Zone> found;
  if (trained > 0) found.push_back({0, trained});
  if (total > trained) found.push_back({trained, total - trained});
  return found;
}

std::vector<ShardSlice> slices_of(const FlatLayout& layout,
                                  const std::vector<ParameterSpec>& parameters, int rank,
                                  int ranks) {
  std::vector<ShardSlice> slices;
  for (const size_t i : layout.order) {
    const int64_t start = layout.starts[i];
    const FlatLayout::Zone zone =
        parameters[i].frozen ? FlatLayout::Zone{layout.trained, layout.total - layout.trained}
                             : FlatLayout::Zone{0, layout.trained};
    const int64_t share = zone.size / ranks;
    const int64_t begin = zone.begin + rank * share, end = begin + share;
    const int64_t from = std::max(begin, start), to = std::min(end, start + layout.counts[i]);
    if (from >= to) continue;
    slices.push_back({.parameter = parameters[i].name,
                      .shape = parameters[i].shape,
                      .begin = parameters[i].held_begin() + from - start,
                      .end = parameters[i].held_begin() + to - start,
                      .offset = zone.begin / ranks + from - begin,
                      .decay = parameters[i].decay,
                      .group = parameters[i].group});
  }
  return slices;
}

void initialise(at::Tensor& master, const std::vector<ShardSlice>& slices,
                const std::vector<ParameterSpec>& parameters, int64_t seed,
                const std::function<bool(const ParameterSpec&)>& filled_later) {
  std::unordered_map<std::string, const ParameterSpec*> by_name;
  for (const auto& parameter : parameters) by_name[parameter.name] = &parameter;
  for (const auto& slice : slices) {
    const ParameterSpec& parameter = *by_name.at(slice.parameter);
    if (filled_later && filled_later(parameter)) continue;
    draw(parameter, slice, seed, master.data_ptr<float>() + slice.offset);
  }
}

}  // namespace veomni
