#include "core/hugging_face/weights.h"

#include <cstring>

#include "core/error.h"
#include "core/hugging_face/half.h"
#include "core/json.h"

namespace veomni {
namespace {

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr size_t kIndexBytes = size_t{64} << 20;

template <class From, class Convert>
void convert(const void* data, int64_t begin, int64_t count, float* out, const Convert& to_float) {
  const auto* bytes = static_cast<const char*>(data) + begin * static_cast<int64_t>(sizeof(From));
  for (int64_t i = 0; i < count; ++i) {
    From value;  // tensors of a file need not be aligned
    std::memcpy(&value, bytes + i * static_cast<int64_t>(sizeof(From)), sizeof(From));
    out[i] = to_float(value);
  }
}

}  // namespace

HuggingFaceWeights::HuggingFaceWeights(const std::filesystem::path& directory)
    : directory_(directory) {
  std::error_code ignored;
  if (std::filesystem::exists(directory / kIndex, ignored)) {
    open_index(directory / kIndex);
    return;
  }
  require<ConfigError>(
      std::filesystem::exists(directory / kSingle, ignored),
      "{}: holds neither {} nor {}; give a model directory in Hugging Face's form with safetensors "
      "weights",
      directory.string(), kSingle, kIndex);
  add_file(kSingle, {});
}

void HuggingFaceWeights::open_index(const std::filesystem::path& index) {
  const Json json =
      parse_located_json(read_text_file(index.string(), kIndexBytes), index.string()).value;
  require<ConfigError>(json.contains("weight_map") && json["weight_map"].is_object(),
                       "{}: has no object 'weight_map'; download the index again", index.string());
  std::map<std::string, std::vector<std::string>> by_file;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    require<ConfigError>(file.is_string(), "{}: weight_map.{}: must be a file name", index.string(),
                         tensor);
    const auto name = file.get<std::string>();
    require<ConfigError>(std::filesystem::path(name).filename() == name,
                         "{}: weight_map.{}: '{}' must be a file beside the index", index.string(),
                         tensor, name);
    by_file[name].push_back(tensor);
  }
  for (const auto& [file, tensors] : by_file) add_file(file, tensors);
}

void HuggingFaceWeights::add_file(const std::string& file, const std::vector<std::string>& wanted) {
  const SafetensorsFile& opened = files_.emplace_back(directory_ / file);
  for (const auto& name : wanted) tensors_[name] = opened.get(name);
  if (!wanted.empty()) return;
  for (const auto& tensor : opened.tensors()) tensors_[tensor.name] = tensor;
}

const SafetensorsTensor& HuggingFaceWeights::get(const std::string& name) const {
  const auto found = tensors_.find(name);
  require<ConfigError>(found != tensors_.end(),
                       "{}: has no tensor '{}'; its config.json asks for one", directory_.string(),
                       name);
  return found->second;
}

const std::vector<int64_t>& HuggingFaceWeights::shape(const std::string& name) const {
  return get(name).shape;
}

void HuggingFaceWeights::read(const std::string& name, int64_t begin, int64_t end,
                              float* out) const {
  const SafetensorsTensor& tensor = get(name);
  const int64_t elements =
      static_cast<int64_t>(tensor.bytes / std::max<uint64_t>(1, dtype_bytes(tensor.dtype)));
  require<Error>(begin >= 0 && begin <= end && end <= elements, "{}: elements {} to {} of {}", name,
                 begin, end, elements);
  const int64_t count = end - begin;
  if (tensor.dtype == "F32")
    convert<float>(tensor.data, begin, count, out, [](float x) { return x; });
  else if (tensor.dtype == "BF16")
    convert<uint16_t>(tensor.data, begin, count, out, bf16_to_float);
  else if (tensor.dtype == "F16")
    convert<uint16_t>(tensor.data, begin, count, out, half_to_float);
  else if (tensor.dtype == "F64")
    convert<double>(tensor.data, begin, count, out, [](double x) { return static_cast<float>(x); });
  else
    throw ConfigError(fmt::format("{}: tensor '{}' is {}; weights must be F32, F16, BF16 or F64",
                                  directory_.string(), name, tensor.dtype));
}

std::vector<std::string> HuggingFaceWeights::names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  return names;
}

}  // namespace veomni
