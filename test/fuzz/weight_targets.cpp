// Weights, their index and a checkpoint's manifest.
#include <fmt/format.h>

#include "core/checkpoint/file_io.h"
#include "core/checkpoint/manifest.h"
#include "core/checkpoint/safetensors.h"
#include "core/error.h"
#include "core/hugging_face/weights.h"
#include "fuzz/targets.h"
#include "support/made_files.h"

namespace veomni::fuzz {
namespace fs = std::filesystem;
using namespace veomni::made;
namespace {

void check(bool ok, const char* what) {
  if (!ok) throw Error(what);
}

/// What the reader promises of every file that it takes.
void read_all(const SafetensorsFile& file) {
  uint64_t expected = 8 + file.header().size(), sum = 0;
  for (const auto& tensor : file.tensors()) {
    check(file.offset(tensor) == expected, "a tensor does not follow the one before");
    expected += tensor.bytes;
    for (uint64_t i = 0; i < tensor.bytes; ++i) sum += static_cast<const uint8_t*>(tensor.data)[i];
    const auto count = count_elements(tensor.shape);
    check(count && static_cast<uint64_t>(*count) * dtype_bytes(tensor.dtype) == tensor.bytes,
          "a tensor's shape and bytes differ");
    check(file.find(tensor.name) != nullptr, "a tensor is not found");
  }
  check(expected == file.file_bytes() && sum < ~uint64_t{0}, "bytes are left over");
}

void read_all(const HuggingFaceWeights& weights) {
  for (const auto& name : weights.names()) {
    const int64_t count = count_elements(weights.shape(name)).value();
    std::vector<float> values(static_cast<size_t>(count));
    weights.read(name, 0, count, values.data());
    if (count > 1) weights.read(name, 1, count - 1, values.data());
  }
}

std::vector<std::string> sound_safetensors() {
  return {
      safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "01234567"),
      safetensors(
          R"({"__metadata__":{"format":"pt"},"w.x":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},)"
          R"("none":{"dtype":"F64","shape":[0,5],"data_offsets":[8,8]},"b":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}} )",
          "01234567890123456789"),
      safetensors(
          R"({"s":{"dtype":"F64","shape":[],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1,1,1],"data_offsets":[8,12]}})",
          "012345678901"),
      safetensors("{}", "")};
}

/// The header's length is right again.
void repair_safetensors(std::string& bytes) {
  const size_t end = bytes.rfind('}');
  if (bytes.size() < 8 || end == std::string::npos || end < 8) return;
  const std::string length = little_endian(end + 1 - 8, 8);
  bytes.replace(0, 8, length);
}

const std::vector<std::string> kHeaderWords = {"\"dtype\":",
                                               "\"F32\"",
                                               "\"BF16\"",
                                               "\"U8\"",
                                               "\"F8_E4M3\"",
                                               "\"shape\":[",
                                               "\"data_offsets\":[0,",
                                               "__metadata__",
                                               "{\"a\":{",
                                               "[[[[",
                                               "\xff",
                                               "\\ud800",
                                               "\\u0000"};

Target safetensors_target(const fs::path& folder) {
  const auto file = folder / "model.safetensors";
  return {"safetensors", sound_safetensors(),
          [=](const std::string& bytes) {
            write_bytes(file, bytes);
            read_all(SafetensorsFile(file));
          },
          repair_safetensors, kHeaderWords};
}

Target weights_target(const fs::path& folder) {
  const auto model = folder / "single";
  fs::create_directories(model);
  std::vector<std::string> sound = sound_safetensors();
  return {"weights", sound,
          [=](const std::string& bytes) {
            write_bytes(model / "model.safetensors", bytes);
            read_all(HuggingFaceWeights(model));
          },
          repair_safetensors, kHeaderWords};
}

Target index_target(const fs::path& folder) {
  const auto model = folder / "sharded";
  fs::create_directories(model);
  write_bytes(model / "one.safetensors", sound_safetensors()[0]);
  write_bytes(model / "two.safetensors", sound_safetensors()[1]);
  return {
      "index",
      {R"({"metadata":{"total_size":28},"weight_map":{"a":"one.safetensors","b":"two.safetensors","w.x":"two.safetensors","none":"two.safetensors"}})",
       R"({"weight_map":{"a":"one.safetensors"}})"},
      [=](const std::string& bytes) {
        write_bytes(model / "model.safetensors.index.json", bytes);
        read_all(HuggingFaceWeights(model));
      },
      {},
      {"\"weight_map\":", "one.safetensors", "../", "\"a\":", "\\u0000", "//", "\xff", "\\n"}};
}

std::string manifest(std::string text) {
  return text + ",\n\"checksum\": \"" + checksum_of(text.data(), text.size()) + "\"\n}\n";
}

Target manifest_target(const fs::path& folder) {
  Manifest sound;
  sound.step = 7;
  sound.shards = {{"shard-00000.safetensors", 100, "0123456789abcdef"},
                  {"shard-00001.safetensors", 50, "0123456789abcdef"}};
  sound.tensors["w"] = {"F32", {4, 4}, {{0, 0, 8, "00"}, {1, 8, 16, "11"}}};
  sound.tensors["b"] = {"F64", {}, {{0, 0, 1, "00"}}};
  sound.state = {{"step", 7}, {"cursors", {1, 2}}};
  const auto file = folder / kManifestName;
  return {"manifest",
          {manifest_text(sound)},
          [=](const std::string& bytes) {
            write_bytes(file, bytes);
            (void)read_manifest(file);
          },
          [](std::string& bytes) {
            const size_t tail = bytes.rfind(",\n\"checksum\"");
            bytes = manifest(bytes.substr(0, tail));
          },
          {"\"shape\":[", "\"ranges\":[[", "\"dtype\":\"F32\"", "\"name\":", "[0,0,8,\"x\"]"}};
}

}  // namespace

std::vector<Target> weight_targets(const fs::path& folder) {
  return {safetensors_target(folder), weights_target(folder), index_target(folder),
          manifest_target(folder)};
}

}  // namespace veomni::fuzz
