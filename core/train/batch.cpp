#include "core/train/batch.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "core/data/grid_positions.h"
#include "core/data/pack_tools.h"
#include "core/data/preprocessor.h"

namespace veomni {
namespace {

template <class T>
at::Tensor to_tensor(const std::vector<T>& values, at::ScalarType dtype) {
  auto tensor = at::empty({static_cast<int64_t>(values.size())}, dtype);
  if (!values.empty())
    std::memcpy(tensor.mutable_data_ptr(), values.data(), values.size() * sizeof(T));
  return tensor;
}

at::Tensor concatenate(const std::vector<const PartInput*>& inputs, size_t array) {
  const auto& first = inputs.front()->arrays[array];
  const bool is_float = std::holds_alternative<std::vector<float>>(first.data);
  auto shape = first.shape;
  shape[0] = 0;
  for (const auto* input : inputs) shape[0] += input->arrays[array].shape[0];
  auto out = at::empty(shape, is_float ? at::kFloat : at::kLong);
  auto* to = static_cast<char*>(out.mutable_data_ptr());
  for (const auto* input : inputs) {
    std::visit(
        [&](const auto& data) {
          const size_t bytes = data.size() * sizeof(data[0]);
          if (bytes > 0) std::memcpy(to, data.data(), bytes);
          to += bytes;
        },
        input->arrays[array].data);
  }
  return out;
}

/// The arrays of these segments; `places` [Σ token_counts] says where each of their tokens stands in the row (a dummy: empty).
EncoderInput collate(const std::vector<const PartInput*>& inputs,
                     const std::vector<int64_t>& places, const at::Tensor& noise_keys) {
  EncoderInput out;
  int64_t tokens = 0;
  for (const auto* input : inputs) {
    out.token_counts.push_back(input->token_count);
    tokens += input->token_count;
  }
  for (size_t array = 0; array < inputs.front()->arrays.size(); ++array) {
    out.arrays.push_back(concatenate(inputs, array));
  }
  out.rows = to_tensor(places, at::kLong);
  out.noise_keys =
      places.empty() ? at::zeros({tokens}, at::kLong) : noise_keys.index_select(0, out.rows);
  return out;
}

/// What dropout is drawn by: the same for a token wherever its lane is computed.
at::Tensor noise_keys(const std::vector<const Pack*>& packs, const std::vector<int64_t>& lanes) {
  std::vector<int64_t> keys;
  for (size_t i = 0; i < packs.size(); ++i) {
    for (int64_t t = 0; t < packs[i]->token_count(); ++t) keys.push_back(lanes[i] << 32 | t);
  }
  return to_tensor(keys, at::kLong);
}

/// The segments of one encoder in a row, and which rank encodes each: in order, each goes to the one with the least work so
/// far, counted in rows of its first array.
struct Segments {
  std::vector<const Piece*> pieces;
  std::vector<int> owners;
  SequencePlace place;
  int64_t row_tokens;

  Segments(const Pack& pack, int32_t encoder, SequencePlace its_place)
      : place(its_place), row_tokens(pack.token_count()) {
    std::vector<int64_t> work(static_cast<size_t>(place.size));
    for (const auto& piece : pack.pieces) {
      if (piece.encoder != encoder) continue;
      const auto least = std::min_element(work.begin(), work.end());
      pieces.push_back(&piece);
      owners.push_back(static_cast<int>(least - work.begin()));
      *least += piece.input->arrays.front().shape[0];
    }
  }

  /// Calls f(embedding among those of `from`, token of the row) for what `from` encodes.
  template <class F>
  void each(int from, const F& f) const {
    int64_t embedding = 0;
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (owners[i] != from) continue;
      for (int64_t t = 0; t < pieces[i]->input->token_count; ++t)
        f(embedding++, pieces[i]->position + t);
    }
  }
};

/// Fills in who gets the embeddings of a shared row, and `rows` with the places of those that come.
void add_routes(const Segments& segments, EncoderInput& input) {
  const auto& place = segments.place;
  std::vector<int64_t> out, in;
  for (int other = 0; other < place.size; ++other) {
    const size_t sent = out.size(), received = in.size();
    segments.each(place.rank, [&](int64_t embedding, int64_t token) {
      if (place.owner(segments.row_tokens, token) == other) out.push_back(embedding);
    });
    segments.each(other, [&](int64_t, int64_t token) {
      if (place.owner(segments.row_tokens, token) == place.rank)
        in.push_back(token - place.begin(segments.row_tokens));
    });
    input.send_counts.push_back(static_cast<int64_t>(out.size() - sent));
    input.receive_counts.push_back(static_cast<int64_t>(in.size() - received));
  }
  input.send_rows = to_tensor(out, at::kLong);
  input.rows = to_tensor(in, at::kLong);
}

/// `used`: by some rank, so that where there are no segments `preprocessor`'s dummy is encoded.
EncoderInput encoder_input(const Segments& segments, const at::Tensor& keys,
                           const Preprocessor& preprocessor, bool used) {
  std::vector<const PartInput*> own;
  std::vector<int64_t> places;
  for (size_t i = 0; i < segments.pieces.size(); ++i)
    if (segments.owners[i] == segments.place.rank) own.push_back(segments.pieces[i]->input.get());
  segments.each(segments.place.rank, [&](int64_t, int64_t token) { places.push_back(token); });
  if (own.empty() && !used) return {};
  const PartInput dummy = own.empty() ? preprocessor.dummy() : PartInput{};
  if (own.empty()) own.push_back(&dummy);
  EncoderInput input = collate(own, places, keys);
  input.dummy = places.empty();
  if (segments.place.size > 1) add_routes(segments, input);
  return input;
}

HeadTargets head_targets(const Pack& pack, int32_t head, SequencePlace place) {
  const int64_t begin = place.begin(pack.token_count()), end = place.end(pack.token_count());
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
  found.rows = to_tensor(rows, at::kLong);
  found.labels = to_tensor(labels, at::kFloat);
  found.weights = to_tensor(weights, at::kFloat);
  return found;
}

}  // namespace

PartUse parts_in(const std::vector<const Pack*>& packs, const Recipe& recipe) {
  PartUse use{std::vector<bool>(recipe.encoders.size()), std::vector<bool>(recipe.heads.size()),
              false};
  for (const auto* pack : packs) {
    for (const auto& piece : pack->pieces) use.encoders[piece.encoder] = true;
    for (const auto& target : pack->targets) use.heads[target.head] = true;
    for (const auto label : pack->labels) use.text = use.text || label != kIgnore;
  }
  return use;
}

Batch make_batch(const std::vector<const Pack*>& packs, const std::vector<int64_t>& lanes,
                 const PartUse& use, const Dataset& data, const Recipe& recipe,
                 SequencePlace place) {
  const Pack pack = merge(packs);
  const int64_t begin = place.begin(pack.token_count()), end = place.end(pack.token_count());
  const auto share = [&](const at::Tensor& x) { return x.slice(0, begin, end); };
  const auto keys = noise_keys(packs, lanes);
  Batch batch;
  batch.place = place;
  batch.ids = share(to_tensor(pack.ids, at::kLong));
  batch.positions = recipe.base.mrope_section.empty()
                        ? to_tensor(pack.positions, at::kLong)
                        : to_tensor(grid_positions(pack), at::kLong).view({3, pack.token_count()});
  batch.cu_seqlens = to_tensor(pack.cu_seqlens, at::kInt);
  batch.labels = share(to_tensor(pack.labels, at::kLong));
  batch.label_weights = share(to_tensor(pack.label_weights, at::kFloat));
  batch.noise_keys = share(keys);
  for (int64_t t = begin; t < end; ++t)
    batch.text_labels += pack.labels[static_cast<size_t>(t)] != kIgnore;
  for (int32_t e = 0; e < static_cast<int32_t>(recipe.encoders.size()); ++e)
    batch.encoders.push_back(encoder_input(Segments(pack, e, place), keys, data.preprocessor(e),
                                           use.encoders[static_cast<size_t>(e)]));
  for (int32_t h = 0; h < static_cast<int32_t>(recipe.heads.size()); ++h)
    batch.heads.push_back(head_targets(pack, h, place));
  return batch;
}

}  // namespace veomni
