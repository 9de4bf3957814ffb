#include "core/train/batch.h"

#include <ATen/ATen.h>

#include <cstring>

#include "core/data/grid_positions.h"
#include "core/data/pack_tools.h"

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

EncoderInput collate(const std::vector<const PartInput*>& inputs, const std::vector<int64_t>& rows,
                     const at::Tensor& noise_keys) {
  EncoderInput out;
  int64_t tokens = 0;
  for (const auto* input : inputs) {
    out.token_counts.push_back(input->token_count);
    tokens += input->token_count;
  }
  for (size_t array = 0; array < inputs.front()->arrays.size(); ++array) {
    out.arrays.push_back(concatenate(inputs, array));
  }
  out.rows = to_tensor(rows, at::kLong);
  out.noise_keys =
      rows.empty() ? at::zeros({tokens}, at::kLong) : noise_keys.index_select(0, out.rows);
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

EncoderInput encoder_input(const Pack& pack, int32_t encoder, const at::Tensor& keys) {
  std::vector<const PartInput*> inputs;
  std::vector<int64_t> rows;
  for (const auto& piece : pack.pieces) {
    if (piece.encoder != encoder) continue;
    inputs.push_back(piece.input.get());
    for (int64_t t = 0; t < piece.input->token_count; ++t) rows.push_back(piece.position + t);
  }
  return inputs.empty() ? EncoderInput{} : collate(inputs, rows, keys);
}

HeadTargets head_targets(const Pack& pack, int32_t head) {
  std::vector<int64_t> rows;
  std::vector<float> labels, weights;
  for (const auto& target : pack.targets) {
    if (target.head != head) continue;
    rows.push_back(target.position);
    labels.push_back(static_cast<float>(target.value));
    weights.push_back(static_cast<float>(target.weight));
  }
  return {to_tensor(rows, at::kLong), to_tensor(labels, at::kFloat),
          to_tensor(weights, at::kFloat)};
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
                 const PartUse& use, const Dataset& data, const Recipe& recipe) {
  const Pack pack = merge(packs);
  Batch batch;
  batch.ids = to_tensor(pack.ids, at::kLong);
  batch.positions = recipe.base.mrope_section.empty()
                        ? to_tensor(pack.positions, at::kLong)
                        : to_tensor(grid_positions(pack), at::kLong).view({3, pack.token_count()});
  batch.cu_seqlens = to_tensor(pack.cu_seqlens, at::kInt);
  batch.labels = to_tensor(pack.labels, at::kLong);
  batch.label_weights = to_tensor(pack.label_weights, at::kFloat);
  batch.noise_keys = noise_keys(packs, lanes);
  for (const auto label : pack.labels) batch.text_labels += label != kIgnore;
  for (int32_t e = 0; e < static_cast<int32_t>(recipe.encoders.size()); ++e) {
    auto input = encoder_input(pack, e, batch.noise_keys);
    if (input.arrays.empty() && use.encoders[e]) {
      const PartInput dummy = data.preprocessor(e).dummy();
      input = collate({&dummy}, {}, batch.noise_keys);
    }
    batch.encoders.push_back(std::move(input));
  }
  for (int32_t h = 0; h < static_cast<int32_t>(recipe.heads.size()); ++h) {
    batch.heads.push_back(head_targets(pack, h));
  }
  return batch;
}

}  // namespace veomni
