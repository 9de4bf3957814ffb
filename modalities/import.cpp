#include "modalities/import.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "modalities/base/block_spec.h"
#include "modalities/base/hugging_face_spec.h"

namespace veomni {
namespace {

/// The file's name of a piece: GPT-2's files on the Hub are of the bare model, without its prefix.
std::string name_in(const HuggingFaceWeights& weights, const std::string& tensor) {
  constexpr std::string_view kPrefix = "transformer.";
  const auto bare = tensor.starts_with(kPrefix) ? tensor.substr(kPrefix.size()) : tensor;
  return !weights.has(tensor) && weights.has(bare) ? bare : tensor;
}

void check_shape(const HuggingFacePiece& piece, const HuggingFaceWeights& weights) {
  const auto name = name_in(weights, piece.tensor);
  const auto& shape = weights.shape(name);
  require<ConfigError>(
      shape == piece.shape, "{}: tensor '{}' has shape [{}], config.json makes it [{}]",
      weights.directory().string(), name, fmt::join(shape, ", "), fmt::join(piece.shape, ", "));
}

struct Elements {
  int64_t begin = 0, end = 0;
};

/// These elements of the transpose of the file's [C, R] tensor, row by row of the file.
void read_transposed(const HuggingFaceWeights& weights, const HuggingFacePiece& piece,
                     Elements elements, float* out) {
  const auto [begin, end] = elements;
  const int64_t C = piece.shape[0], R = piece.shape[1];
  std::vector<float> row(static_cast<size_t>(R));
  for (int64_t c = 0; c < C; ++c) {
    const int64_t first = (begin - c + C - 1) / C, last = (end - c + C - 1) / C;
    if (first >= last) continue;
    weights.read(name_in(weights, piece.tensor), c * R + first, c * R + last, row.data());
    for (int64_t r = first; r < last; ++r)
      out[r * C + c - begin] = row[static_cast<size_t>(r - first)];
  }
}

void read_piece(const HuggingFaceWeights& weights, const HuggingFacePiece& piece, Elements elements,
                float* out) {
  if (piece.transposed) return read_transposed(weights, piece, elements, out);
  weights.read(name_in(weights, piece.tensor), piece.begin + elements.begin,
               piece.begin + elements.end, out);
}

void fill(const ShardSlice& slice, float* out, const std::vector<HuggingFacePiece>& pieces,
          const HuggingFaceWeights& weights) {
  int64_t start = 0;  // of the piece in the flattened parameter
  for (const auto& piece : pieces) {
    const int64_t count = piece.count();
    const int64_t begin = std::max(slice.begin, start), end = std::min(slice.end, start + count);
    if (begin < end)
      read_piece(weights, piece, {begin - start, end - start}, out + (begin - slice.begin));
    start += count;
  }
}

/// Every tensor the base model is made of, of the right shape.
std::set<std::string> check_tensors(const BaseConfig& base, const HuggingFaceWeights& weights) {
  std::set<std::string> taken;
  for (const auto& unit : describe_base(base, base.vocab_size, 1, 0))
    for (const auto& parameter : unit.parameters)
      for (const auto& piece : hugging_face_pieces(parameter.name, parameter.shape, base)) {
        check_shape(piece, weights);
        taken.insert(name_in(weights, piece.tensor));
      }
  return taken;
}

}  // namespace

void import_weights(Model& model, const BaseConfig& base, const HuggingFaceWeights& weights) {
  const auto taken = check_tensors(base, weights);
  for (Shard* shard : model.shards()) {
    for (const auto& slice : shard->slices) {
      const auto pieces = hugging_face_pieces(slice.parameter, slice.shape, base);
      if (pieces.empty() || slice.begin == slice.end) continue;
      at::Tensor host = at::empty({slice.end - slice.begin}, at::kFloat);
      fill(slice, host.mutable_data_ptr<float>(), pieces, weights);
      shard->master.narrow(0, slice.offset, host.numel()).copy_(host);
    }
  }
  for (const auto& name : weights.names())
    require<ConfigError>(taken.contains(name) || is_left_over(name, base),
                         "{}: tensor '{}' has no place in the model that config.json describes",
                         weights.directory().string(), name);
}

}  // namespace veomni
