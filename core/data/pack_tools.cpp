#include "core/data/pack_tools.h"

#include <algorithm>

namespace veomni {
namespace {

template <class T>
void extend(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// Pieces and targets with their positions moved to where the tokens now start.
template <class T>
void extend_moved(std::vector<T>& to, const std::vector<T>& from, int32_t start) {
  extend(to, from);
  for (size_t i = to.size() - from.size(); i < to.size(); ++i) to[i].position += start;
}

}  // namespace

void Pack::append(const Sample& sample) {
  const auto start = static_cast<int32_t>(ids.size());
  extend(ids, sample.ids);
  extend(labels, sample.labels);
  for (size_t i = 0; i < sample.ids.size(); ++i) positions.push_back(static_cast<int64_t>(i));
  label_weights.resize(ids.size(), static_cast<float>(sample.weight));
  cu_seqlens.push_back(static_cast<int32_t>(ids.size()));
  extend_moved(pieces, sample.pieces, start);
  extend_moved(targets, sample.targets, start);
  origins.emplace_back(sample.source, sample.index);
}

Pack merge(const std::vector<const Pack*>& packs) {
  Pack merged;
  for (const Pack* pack : packs) {
    const auto start = static_cast<int32_t>(merged.ids.size());
    extend(merged.ids, pack->ids);
    extend(merged.labels, pack->labels);
    extend(merged.positions, pack->positions);
    extend(merged.label_weights, pack->label_weights);
    for (size_t i = 1; i < pack->cu_seqlens.size(); ++i)
      merged.cu_seqlens.push_back(start + pack->cu_seqlens[i]);
    extend_moved(merged.pieces, pack->pieces, start);
    extend_moved(merged.targets, pack->targets, start);
    extend(merged.origins, pack->origins);
  }
  return merged;
}

std::vector<size_t> fill_best(const std::vector<int64_t>& lengths, int64_t capacity) {
  if (capacity <= 0) return {};
  // reach[i] holds the sums that the first i items can make, one bit a sum.
  const size_t words = static_cast<size_t>(capacity) / 64 + 1;
  std::vector<std::vector<uint64_t>> reach(lengths.size() + 1, std::vector<uint64_t>(words, 0));
  reach[0][0] = 1;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const size_t jump = static_cast<size_t>(lengths[i]) / 64,
                 bits = static_cast<size_t>(lengths[i]) % 64;
    reach[i + 1] = reach[i];
    for (size_t w = jump; w < words; ++w) {
      reach[i + 1][w] |= reach[i][w - jump] << bits;
      if (bits > 0 && w > jump) reach[i + 1][w] |= reach[i][w - jump - 1] >> (64 - bits);
    }
  }
  const auto has = [&](size_t i, int64_t sum) {
    return (reach[i][static_cast<size_t>(sum) / 64] >> (sum % 64) & 1) != 0;
  };
  int64_t sum = capacity;
  while (!has(lengths.size(), sum)) --sum;
  std::vector<size_t> taken;
  for (size_t i = lengths.size(); i > 0; --i) {
    if (has(i - 1, sum)) continue;
    taken.push_back(i - 1);
    sum -= lengths[i - 1];
  }
  std::reverse(taken.begin(), taken.end());
  return taken;
}

}  // namespace veomni
