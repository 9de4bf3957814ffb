#include "modalities/import.h"

#include <ATen/Parallel.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/data/text.h"
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

/// Threads share a slice's elements: one reads the file while another waits for its own part.
void fill(const ShardSlice& slice, float* out, const std::vector<HuggingFacePiece>& pieces,
          const HuggingFaceWeights& weights) {
  constexpr int64_t kGrain = 1 << 19;
  int64_t start = 0;  // of the piece in the flattened parameter
  for (const auto& piece : pieces) {
    const int64_t count = piece.count();
    at::parallel_for(std::max(slice.begin, start), std::min(slice.end, start + count), kGrain,
                     [&](int64_t begin, int64_t end) {
                       weights.read(piece.tensor, begin - start, end - start,
                                    out + (begin - slice.begin));
                     });
    start += count;
  }
}

/// The slice's place in the shard's own memory, or in a copy on the host that is then put there.
void fill(Shard& shard, const ShardSlice& slice, const std::vector<HuggingFacePiece>& pieces,
          const HuggingFaceWeights& weights) {
  at::Tensor place = shard.master.narrow(0, slice.offset, slice.end - slice.begin);
  at::Tensor host = place.is_cpu() ? place : at::empty(place.sizes(), at::kFloat);
  fill(slice, host.mutable_data_ptr<float>(), pieces, weights);
  if (!place.is_cpu()) place.copy_(host);
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

void check_weights(const BaseConfig& base, const HuggingFaceWeights& weights) {
  const auto taken = check_tensors(base, weights);
  for (const auto& name : weights.names())
    require<ConfigError>(taken.contains(name) || may_be_left(name, base),
                         "{}: tensor '{}' has no place in the model that config.json describes",
                         weights.directory().string(), shown(name));
}

void import_weights(Model& model, const BaseConfig& base, const HuggingFaceWeights& weights) {
  check_weights(base, weights);
  for (Shard* shard : model.shards()) {
    for (const auto& slice : shard->slices) {
      const auto pieces = hugging_face_pieces(slice.parameter, slice.shape, base);
      if (pieces.empty() || slice.begin == slice.end) continue;
      fill(*shard, slice, pieces, weights);
    }
  }
}

}  // namespace veomni
