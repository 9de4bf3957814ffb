#include "core/hugging_face/weights.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/data/text.h"
#include "core/error.h"
#include "core/hugging_face/half.h"
#include "core/json.h"
#include "core/sorted_json.h"

namespace veomni {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr size_t kIndexBytes = size_t{64} << 20;
constexpr int64_t kChunk = 1 << 15;  ///< elements converted at a time: they stay in the cache

/// Elements [begin, end) through a small buffer, for the file's numbers are no f32.
template <class From, class Convert>
void convert(const SafetensorsFile& file, const SafetensorsTensor& tensor, int64_t begin,
             int64_t end, float* out, const Convert& to_float) {
  constexpr auto kBytes = static_cast<int64_t>(sizeof(From));
  std::vector<From> buffer(static_cast<size_t>(std::min(kChunk, end - begin)));
  while (begin < end) {
    const int64_t count = std::min(kChunk, end - begin);
    file.read(tensor, static_cast<uint64_t>(begin * kBytes), static_cast<uint64_t>(count * kBytes),
              buffer.data());
    to_float(buffer.data(), count, out);
    begin += count;
    out += count;
  }
}

/// The compiler makes vector code of the inner loop: its length is known and nothing overlaps.
void widen_bf16(const uint16_t* __restrict from, int64_t count, float* __restrict to) {
  constexpr int64_t kBlock = 64;
  int64_t i = 0;
  for (; i + kBlock <= count; i += kBlock)
    for (int64_t j = 0; j < kBlock; ++j)
      to[i + j] = std::bit_cast<float>(static_cast<uint32_t>(from[i + j]) << 16);
  for (; i < count; ++i) to[i] = bf16_to_float(from[i]);
}

/// A file beside the index.
bool is_plain_name(const std::string& name) {
  return !name.empty() && fs::path(name).filename() == name && shown(name) == name;
}

}  // namespace

HuggingFaceWeights::HuggingFaceWeights(const fs::path& directory) : directory_(directory) {
  std::error_code ignored;
  if (fs::exists(directory / kIndex, ignored)) {
    open_index(directory / kIndex);
    return;
  }
  require<ConfigError>(
      fs::exists(directory / kSingle, ignored),
      "{}: holds neither {} nor {}; give a model directory in Hugging Face's form with safetensors "
      "weights",
      directory.string(), kSingle, kIndex);
  const SafetensorsFile file(directory / kSingle);
  for (const auto& tensor : file.tensors()) tensors_.insert({tensor.name, {file, tensor}});
}

void HuggingFaceWeights::open_index(const fs::path& index) {
  const auto name = index.string();
  const auto text = read_text_file(name, kIndexBytes);
  const auto json = parse_sorted_json({.text = text, .file = name, .what = "the index"});
  require<ConfigError>(json.is_object() && json.contains("weight_map") &&
                           json["weight_map"].is_object() && !json["weight_map"].empty(),
                       "{}: has no object 'weight_map'; download the index again", name);
  std::map<std::string, SafetensorsFile> files;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    require<ConfigError>(file.is_string(), "{}: weight_map.{}: must be a file name", name,
                         shown(tensor));
    const auto& shard = file.get_ref<const std::string&>();
    require<ConfigError>(is_plain_name(shard),
                         "{}: weight_map.{}: '{}' must be a file beside the index", name,
                         shown(tensor), shown(shard));
    auto found = files.find(shard);
    if (found == files.end()) {
      std::error_code ignored;
      require<ConfigError>(fs::exists(directory_ / shard, ignored),
                           "{}: weight_map.{}: {} is not there; download it", name, shown(tensor),
                           (directory_ / shard).string());
      found = files.emplace(shard, SafetensorsFile(directory_ / shard)).first;
    }
    tensors_.insert({tensor, {found->second, found->second.get(tensor)}});
  }
  add_unlisted(files);
}

/// As transformers does: what a shard holds beside the index's names is taken too.
void HuggingFaceWeights::add_unlisted(const std::map<std::string, SafetensorsFile>& files) {
  for (const auto& [name, file] : files)
    for (const auto& tensor : file.tensors()) tensors_.insert({tensor.name, {file, tensor}});
}

const HuggingFaceWeights::Place& HuggingFaceWeights::get(const std::string& name) const {
  const auto found = tensors_.find(name);
  require<ConfigError>(found != tensors_.end(),
                       "{}: has no tensor '{}'; its config.json asks for one", directory_.string(),
                       shown(name));
  return found->second;
}

const std::vector<int64_t>& HuggingFaceWeights::shape(const std::string& name) const {
  return get(name).tensor.shape;
}

void HuggingFaceWeights::read(const std::string& name, int64_t begin, int64_t end,
                              float* out) const {
  const auto& [file, tensor] = get(name);
  const auto bytes = static_cast<int64_t>(dtype_bytes(tensor.dtype));
  const int64_t elements = static_cast<int64_t>(tensor.bytes) / bytes;
  require<Error>(begin >= 0 && begin <= end && end <= elements, "{}: elements {} to {} of {}", name,
                 begin, end, elements);
  if (tensor.dtype == "F32")
    file.read(tensor, static_cast<uint64_t>(begin * bytes),
              static_cast<uint64_t>((end - begin) * bytes), out);
  else if (tensor.dtype == "BF16")
    convert<uint16_t>(file, tensor, begin, end, out, widen_bf16);
  else if (tensor.dtype == "F16")
    convert<uint16_t>(file, tensor, begin, end, out,
                      [](const uint16_t* from, int64_t count, float* to) {
                        std::transform(from, from + count, to, half_to_float);
                      });
  else if (tensor.dtype == "F64")
    convert<double>(
        file, tensor, begin, end, out, [](const double* from, int64_t count, float* to) {
          std::transform(from, from + count, to, [](double x) { return static_cast<float>(x); });
        });
  else
    throw ConfigError(
        fmt::format("{}: byte {}: tensor '{}' is {}; weights must be F32, F16, BF16 or F64",
                    file.path().string(), file.offset(tensor), shown(name), tensor.dtype));
}

HuggingFaceWeights::FilePlace HuggingFaceWeights::place(const std::string& name,
                                                        int64_t element) const {
  const auto& [file, tensor] = get(name);
  return {file.path(),
          file.offset(tensor) + static_cast<uint64_t>(element) * dtype_bytes(tensor.dtype)};
}

int64_t HuggingFaceWeights::bytes() const {
  int64_t sum = 0;
  for (const auto& [name, place] : tensors_) sum += static_cast<int64_t>(place.tensor.bytes);
  return sum;
}

std::vector<std::string> HuggingFaceWeights::names() const {
  std::vector<std::string> names;
  for (const auto& [name, place] : tensors_) names.push_back(name);
  return names;
}

}  // namespace veomni
