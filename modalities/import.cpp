#include "modalities/import.h"

#include <ATen/Parallel.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "core/data/text.h"
#include "core/error.h"
#include "core/hugging_face/weights.h"
#include "modalities/base/block_spec.h"
#include "modalities/base/hugging_face_spec.h"

namespace veomni {
namespace {

/// The file's name of a piece: GPT-2's files on the Hub, and vision encoders as transformers 5 saves them, are of the
/// bare model, without its prefix.
std::string name_in(const HuggingFaceWeights& weights, const std::string& tensor) {
  if (weights.has(tensor)) return tensor;
  for (const std::string_view prefix : {"transformer.", "vision_model."})
    if (tensor.starts_with(prefix) && weights.has(tensor.substr(prefix.size())))
      return tensor.substr(prefix.size());
  return tensor;
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

/// A stretch of a parameter to be filled.
struct Stretch {
  const HuggingFaceWeights* weights;
  const HuggingFacePiece* piece;
  Elements elements;  ///< of the piece
  float* out;
  HuggingFaceWeights::FilePlace place;
};

/// What of `slice` lies in each piece, in stretches of a few huge pages: small enough to be dealt evenly, and no two threads
/// touch the same page first. A transposed piece is read row by row of the file: parts of it would read the same rows again.
void add_stretches(const ShardSlice& slice, float* out, const std::vector<HuggingFacePiece>& pieces,
                   const HuggingFaceWeights& weights, std::vector<Stretch>& stretches) {
  constexpr int64_t kMost = 1 << 20;
  int64_t start = 0;  // of the piece in the flattened parameter
  for (const auto& piece : pieces) {
    const int64_t count = piece.count();
    const int64_t end = std::min(slice.end, start + count);
    for (int64_t from = std::max(slice.begin, start), to = 0; from < end; from = to) {
      to = piece.transposed ? end : std::min(end, from + kMost);
      const Elements elements{from - start, to - start};
      stretches.push_back(
          {&weights, &piece, elements, out + from - slice.begin,
           weights.place(name_in(weights, piece.tensor), piece.begin + elements.begin)});
    }
    start += count;
  }
}

/// All threads go through the files together, from their beginnings to their ends: then the system's own reading ahead
/// works, better than being told what will be needed.
void read_stretches(std::vector<Stretch>& stretches) {
  std::sort(stretches.begin(), stretches.end(),
            [](const Stretch& a, const Stretch& b) { return a.place < b.place; });
  std::atomic<size_t> next = 0;
  const auto threads =
      std::min<int64_t>(static_cast<int64_t>(stretches.size()), at::get_num_threads());
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    for (size_t i = next++; i < stretches.size(); i = next++) {
      const auto& [weights, piece, elements, out, place] = stretches[i];
      read_piece(*weights, *piece, elements, out);
    }
  });
}

/// What one directory gives.
struct Origin {
  std::map<std::string, std::vector<HuggingFacePiece>> pieces;  ///< by parameter
  bool base = false;
  std::vector<std::string>
      others;  ///< beginnings of tensors' names that belong to no part of the recipe

  void add(const ParameterSpec& parameter, std::vector<HuggingFacePiece> own) {
    if (!own.empty()) pieces[parameter.name] = std::move(own);
  }
};

void add_base(const BaseConfig& base, Origin& origin) {
  origin.base = true;
  for (const auto& unit : describe_base(base, base.vocab_size, 1, 0))
    for (const auto& parameter : unit.parameters)
      origin.add(parameter, hugging_face_pieces(parameter.name, parameter.shape, base));
}

void add_encoder(const PartConfig& part, const Recipe& recipe, Origin& origin) {
  const PartSpec& spec = specs().get(SpecRegistry::Kind::encoder, part.type);
  for (const auto& unit : spec.describe(part, base_sizes(recipe, recipe.base.vocab_size)))
    for (const auto& parameter : unit.parameters) origin.add(parameter, parameter.pieces);
  origin.others.insert(origin.others.end(), spec.other_tensors.begin(), spec.other_tensors.end());
}

std::map<std::string, Origin> origins(const Recipe& recipe) {
  std::map<std::string, Origin> found;
  for (const auto& part : recipe.encoders)
    if (part.keys.contains("from"))
      add_encoder(part, recipe, found[part.keys["from"].get<std::string>()]);
  if (!recipe.from.empty()) add_base(recipe.base, found[recipe.from]);
  return found;
}

/// Every tensor that is asked for, of the right shape; none that nobody asks for.
void check_tensors(const Origin& origin, const BaseConfig& base,
                   const HuggingFaceWeights& weights) {
  std::set<std::string> taken;
  for (const auto& [parameter, pieces] : origin.pieces)
    for (const auto& piece : pieces) {
      check_shape(piece, weights);
      taken.insert(name_in(weights, piece.tensor));
    }
  const auto other = [&](const std::string& name) {
    if (origin.base) return is_left_over(name, base);
    return std::any_of(origin.others.begin(), origin.others.end(),
                       [&](const std::string& prefix) { return name.starts_with(prefix); });
  };
  for (const auto& name : weights.names())
    require<ConfigError>(taken.contains(name) || other(name),
                         "{}: tensor '{}' has no place in the model that config.json describes",
                         weights.directory().string(), shown(name));
}

}  // namespace

bool starts_from_directory(const Recipe& recipe) { return !origins(recipe).empty(); }

struct StartWeights::Directory {
  Origin origin;
  HuggingFaceWeights weights;
};

StartWeights::StartWeights(const Recipe& recipe) {
  for (auto& [path, origin] : origins(recipe)) {
    directories_.push_back(
        std::make_unique<Directory>(Directory{origin, HuggingFaceWeights(path)}));
    check_tensors(origin, recipe.base, directories_.back()->weights);
  }
}

StartWeights::~StartWeights() = default;

void StartWeights::fill(const std::vector<Shard*>& shards) const {
  std::vector<Stretch> own;  // in memory of the host: all read at once
  for (const auto& directory : directories_)
    for (Shard* shard : shards)
      for (const auto& slice : shard->slices) {
        const auto found = directory->origin.pieces.find(slice.parameter);
        if (found == directory->origin.pieces.end() || slice.begin == slice.end) continue;
        at::Tensor place = shard->master.narrow(0, slice.offset, slice.end - slice.begin);
        const bool on_host = place.is_cpu();
        at::Tensor host = on_host ? place : at::empty(place.sizes(), at::kFloat);
        std::vector<Stretch> copied;
        add_stretches(slice, host.mutable_data_ptr<float>(), found->second, directory->weights,
                      on_host ? own : copied);
        read_stretches(copied);
        if (!on_host) place.copy_(host);
      }
  read_stretches(own);
}

int64_t StartWeights::bytes() const {
  int64_t bytes = 0;
  for (const auto& directory : directories_) bytes += directory->weights.bytes();
  return bytes;
}

void import_weights(const std::vector<Shard*>& shards, const Recipe& recipe) {
  StartWeights(recipe).fill(shards);
}

}  // namespace veomni
