#include "core/train/batch.h"

#include <ATen/ATen.h>

#include <cstring>

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

/// Host-side columns of a batch while packs are appended.
struct Columns {
  std::vector<int64_t> ids, positions, labels, keys;
  std::vector<float> label_weights;
  std::vector<int32_t> cu_seqlens{0};
  struct Head {
    std::vector<int64_t> rows;
    std::vector<float> labels, weights;
  };
  std::vector<Head> heads;
  std::vector<std::vector<const PartInput*>> inputs;
  std::vector<std::vector<int64_t>> rows;

  void append(const Pack& pack, int64_t lane) {
    const auto base = static_cast<int64_t>(ids.size());
    ids.insert(ids.end(), pack.ids.begin(), pack.ids.end());
    positions.insert(positions.end(), pack.positions.begin(), pack.positions.end());
    labels.insert(labels.end(), pack.labels.begin(), pack.labels.end());
    label_weights.insert(label_weights.end(), pack.label_weights.begin(), pack.label_weights.end());
    for (int64_t t = 0; t < pack.token_count(); ++t) keys.push_back(lane << 32 | t);
    for (size_t s = 1; s < pack.cu_seqlens.size(); ++s) {
      cu_seqlens.push_back(static_cast<int32_t>(base) + pack.cu_seqlens[s]);
    }
    for (const auto& piece : pack.pieces) {
      inputs[piece.encoder].push_back(piece.input.get());
      for (int64_t t = 0; t < piece.input->token_count; ++t) {
        rows[piece.encoder].push_back(base + piece.position + t);
      }
    }
    for (const auto& target : pack.targets) {
      auto& head = heads[target.head];
      head.rows.push_back(base + target.position);
      head.labels.push_back(static_cast<float>(target.value));
      head.weights.push_back(static_cast<float>(target.weight));
    }
  }
};

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
  Columns columns;
  columns.heads.resize(recipe.heads.size());
  columns.inputs.resize(recipe.encoders.size());
  columns.rows.resize(recipe.encoders.size());
  for (size_t i = 0; i < packs.size(); ++i) columns.append(*packs[i], lanes[i]);

  Batch batch;
  batch.ids = to_tensor(columns.ids, at::kLong);
  batch.positions = to_tensor(columns.positions, at::kLong);
  batch.cu_seqlens = to_tensor(columns.cu_seqlens, at::kInt);
  batch.labels = to_tensor(columns.labels, at::kLong);
  batch.label_weights = to_tensor(columns.label_weights, at::kFloat);
  batch.noise_keys = to_tensor(columns.keys, at::kLong);
  for (const auto label : columns.labels) batch.text_labels += label != kIgnore;
  for (size_t e = 0; e < recipe.encoders.size(); ++e) {
    auto& inputs = columns.inputs[e];
    if (!inputs.empty()) {
      batch.encoders.push_back(collate(inputs, columns.rows[e], batch.noise_keys));
    } else if (use.encoders[e]) {
      const PartInput dummy = data.preprocessor(static_cast<int32_t>(e)).dummy();
      batch.encoders.push_back(collate({&dummy}, {}, batch.noise_keys));
    } else {
      batch.encoders.emplace_back();
    }
  }
  for (const auto& head : columns.heads) {
    batch.heads.push_back({to_tensor(head.rows, at::kLong), to_tensor(head.labels, at::kFloat),
                           to_tensor(head.weights, at::kFloat)});
  }
  return batch;
}

}  // namespace veomni
