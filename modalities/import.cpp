#include "modalities/import.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "modalities/base/block_spec.h"
#include "modalities/base/hugging_face_spec.h"

namespace veomni {
namespace {

void check_shape(const HuggingFacePiece& piece, const HuggingFaceWeights& weights) {
  const auto& shape = weights.shape(piece.tensor);
  require<ConfigError>(shape == piece.shape,
                       "{}: tensor '{}' has shape [{}], config.json makes it [{}]",
                       weights.directory().string(), piece.tensor, fmt::join(shape, ", "),
                       fmt::join(piece.shape, ", "));
}

void fill(const ShardSlice& slice, float* out, const std::vector<HuggingFacePiece>& pieces,
          const HuggingFaceWeights& weights) {
  int64_t start = 0;  // of the piece in the flattened parameter
  for (const auto& piece : pieces) {
    const int64_t count = piece.count();
    const int64_t begin = std::max(slice.begin, start), end = std::min(slice.end, start + count);
    if (begin < end)
      weights.read(piece.tensor, begin - start, end - start, out + (begin - slice.begin));
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
        taken.insert(piece.tensor);
      }
  return taken;
}

/// A tied model's files may repeat the embedding as lm_head; old files hold rotary tables.
bool may_be_left(const std::string& tensor, const BaseConfig& base) {
  const bool embeds = tensor == "model.embed_tokens.weight" || tensor == "lm_head.weight";
  if (embeds && base.vocab_size == 0) return true;  // a model without text
  return (base.tie_word_embeddings && tensor == "lm_head.weight") ||
         tensor.ends_with("rotary_emb.inv_freq");
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
    require<ConfigError>(taken.contains(name) || may_be_left(name, base),
                         "{}: tensor '{}' has no place in the model that config.json describes",
                         weights.directory().string(), name);
}

}  // namespace veomni
