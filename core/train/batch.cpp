#include "core/train/batch.h"

#include <ATen/ATen.h>

#include "core/data/grid_positions.h"
#include "core/data/pack_tools.h"
#include "core/train/host_tensor.h"

namespace veomni {
namespace {

HeadTargets head_targets(const Row& row, int32_t head) {
  const Pack& pack = row.pack;
  const int64_t begin = row.place.begin(pack.token_count()),
                end = row.place.end(pack.token_count());
  HeadTargets found;
  std::vector<int64_t> rows;
  std::vector<float> labels, weights;
  for (size_t i = 0; i < pack.targets.size(); ++i) {
    const auto& target = pack.targets[i];
    if (target.head != head || target.position < begin || target.position >= end) continue;
    found.targets.push_back(i);
    rows.push_back(target.position - begin);
    labels.push_back(static_cast<float>(target.value));
    weights.push_back(static_cast<float>(target.weight));
  }
  found.rows = host_tensor(rows);
  found.labels = host_tensor(labels);
  found.weights = host_tensor(weights);
  return found;
}

}  // namespace

Row::Row(const std::vector<const Pack*>& packs, const std::vector<int64_t>& lanes,
         SequencePlace its_place)
    : pack(merge(packs)), place(its_place) {
  for (size_t i = 0; i < packs.size(); ++i) {
    for (int64_t t = 0; t < packs[i]->token_count(); ++t) noise_keys.push_back(lanes[i] << 32 | t);
  }
}

PartUse Row::parts(const Recipe& recipe) const {
  PartUse use{std::vector<bool>(recipe.encoders.size()), std::vector<bool>(recipe.heads.size()),
              false};
  for (const auto& piece : pack.pieces) use.encoders[piece.encoder] = true;
  for (const auto& target : pack.targets) use.heads[target.head] = true;
  for (const auto label : pack.labels) use.text = use.text || label != kIgnore;
  return use;
}

std::vector<Segments> Row::segments(const Recipe& recipe) const {
  std::vector<Segments> found(recipe.encoders.size());
  for (auto& segments : found) {
    segments.row_tokens = {pack.token_count()};
    segments.place = place;
  }
  for (const auto& piece : pack.pieces) {
    Segment segment{.position = piece.position,
                    .tokens = piece.input->token_count,
                    .noise_key = noise_keys[static_cast<size_t>(piece.position)],
                    .array_rows = {},
                    .input = piece.input};
    for (const auto& array : piece.input->arrays) segment.array_rows.push_back(array.shape[0]);
    found[static_cast<size_t>(piece.encoder)].all.push_back(std::move(segment));
  }
  return found;
}

Batch make_batch(const Row& row, const std::vector<Segments>& dealt, const PartUse& use,
                 const Dataset& data, const Recipe& recipe) {
  const Pack& pack = row.pack;
  const int64_t begin = row.place.begin(pack.token_count()),
                end = row.place.end(pack.token_count());
  const auto share = [&](const auto& values) { return host_tensor(values).slice(0, begin, end); };
  Batch batch;
  batch.place = row.place;
  batch.ids = share(pack.ids);
  batch.positions = recipe.base.mrope_section.empty()
                        ? host_tensor(pack.positions)
                        : host_tensor(grid_positions(pack)).view({3, pack.token_count()});
  batch.cu_seqlens = host_tensor(pack.cu_seqlens);
  batch.labels = share(pack.labels);
  batch.label_weights = share(pack.label_weights);
  batch.noise_keys = share(row.noise_keys);
  for (int64_t t = begin; t < end; ++t)
    batch.text_labels += pack.labels[static_cast<size_t>(t)] != kIgnore;
  for (size_t e = 0; e < recipe.encoders.size(); ++e)
    batch.encoders.push_back(
        make_encoder_input(dealt[e], data.preprocessor(static_cast<int32_t>(e)), use.encoders[e]));
  for (int32_t h = 0; h < static_cast<int32_t>(recipe.heads.size()); ++h)
    batch.heads.push_back(head_targets(row, h));
  return batch;
}

Batch make_batch(const Row& row, const PartUse& use, const Dataset& data, const Recipe& recipe) {
  auto segments = row.segments(recipe);
  for (auto& encoder : segments) deal_within_rows(encoder);
  return make_batch(row, segments, use, data, recipe);
}

}  // namespace veomni
