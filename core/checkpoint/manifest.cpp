#include "core/checkpoint/manifest.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "core/checkpoint/file_io.h"
#include "core/checkpoint/safetensors.h"
#include "core/error.h"
#include "core/version.h"

namespace veomni {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kFormat = "veomni checkpoint";
constexpr std::string_view kChecksumKey = ",\n\"checksum\": \"";
constexpr std::string_view kEnd = "\"\n}\n";
constexpr size_t kTailBytes = kChecksumKey.size() + 16 + kEnd.size();

void check_finite(const Json& value, const std::string& path) {
  require<Error>(!value.is_number_float() || std::isfinite(value.get<double>()),
                 "checkpoint: state{} is not finite", path);
  if (value.is_object()) {
    for (const auto& [key, item] : value.items()) check_finite(item, path + "." + key);
  } else if (value.is_array()) {
    for (const auto& item : value) check_finite(item, path + "[]");
  }
}

std::string tensor_line(const std::string& name, const StoredTensor& tensor) {
  std::vector<std::string> ranges;
  for (const auto& range : tensor.ranges) {
    ranges.push_back(
        fmt::format(R"([{},{},{},"{}"])", range.shard, range.begin, range.end, range.checksum));
  }
  return fmt::format(R"({{"name":{},"dtype":"{}","shape":[{}],"ranges":[{}]}})", Json(name).dump(),
                     tensor.dtype, fmt::join(tensor.shape, ","), fmt::join(ranges, ","));
}

/// Typed access to the manifest's values with the file and the key in every error.
struct Node {
  const fs::path& file;
  std::string key;  ///< dotted path, for errors
  const Json& value;

  [[noreturn]] void fail(const std::string& what) const {
    throw ConfigError(
        fmt::format("{}: {}: {}", file.string(), key.empty() ? "the manifest" : key, what));
  }
  Node at(const char* name) const {
    if (!value.is_object() || !value.contains(name)) fail(fmt::format("'{}' is missing", name));
    return {file, key.empty() ? name : key + "." + name, value.at(name)};
  }
  std::vector<Node> items() const {
    if (!value.is_array()) fail("must be a list");
    std::vector<Node> result;
    for (size_t i = 0; i < value.size(); ++i)
      result.push_back({file, fmt::format("{}[{}]", key, i), value[i]});
    return result;
  }
  std::string text() const {
    if (!value.is_string()) fail("must be a string");
    return value.get<std::string>();
  }
  int64_t integer() const {
    if (!value.is_number_unsigned() || value.get<uint64_t>() > (uint64_t{1} << 62)) {
      fail("must be an integer from 0 to 2^62");
    }
    return value.get<int64_t>();
  }
};

std::vector<ShardFile> read_shards(const Node& list) {
  std::vector<ShardFile> result;
  for (const auto& item : list.items()) {
    ShardFile shard{.file = item.at("file").text(),
                    .bytes = static_cast<uint64_t>(item.at("bytes").integer()),
                    .header_checksum = item.at("header_checksum").text()};
    if (shard.file.empty() || shard.file.front() == '.' ||
        shard.file.find('/') != std::string::npos) {
      item.at("file").fail(
          fmt::format("{} is not a file of this checkpoint", in_quotes(shard.file)));
    }
    result.push_back(std::move(shard));
  }
  return result;
}

StoredRange read_range(const Node& node, size_t shard_count) {
  const auto fields = node.items();
  if (fields.size() != 4) node.fail("must be [shard, begin, end, checksum]");
  StoredRange range{.shard = static_cast<size_t>(fields[0].integer()),
                    .begin = fields[1].integer(),
                    .end = fields[2].integer(),
                    .checksum = fields[3].text()};
  if (range.shard >= shard_count) fields[0].fail(fmt::format("there are {} shards", shard_count));
  if (range.begin > range.end) node.fail("begins after its end");
  return range;
}

void read_tensors(const Node& list, Manifest& manifest) {
  for (const auto& item : list.items()) {
    const auto name = item.at("name").text();
    StoredTensor tensor{.dtype = item.at("dtype").text()};
    if (dtype_bytes(tensor.dtype) == 0)
      item.at("dtype").fail(fmt::format("{} is unknown", in_quotes(tensor.dtype)));
    for (const auto& size : item.at("shape").items()) tensor.shape.push_back(size.integer());
    for (const auto& range : item.at("ranges").items()) {
      tensor.ranges.push_back(read_range(range, manifest.shards.size()));
    }
    check_coverage(list.file.string(), name, tensor);
    if (!manifest.tensors.emplace(name, std::move(tensor)).second) {
      item.at("name").fail(fmt::format("{} occurs twice", in_quotes(name)));
    }
  }
}

Json parse(const fs::path& file, const std::string& text) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw ConfigError(fmt::format("{}: byte {}: the manifest is not valid JSON", file.string(),
                                  error.byte > 0 ? error.byte - 1 : 0));
  } catch (const Json::exception&) {
    throw ConfigError(fmt::format("{}: the manifest holds a number out of range", file.string()));
  }
}

/// Format and version come first: they explain why the rest of another program's file would be
/// wrong.
void check_identity(const fs::path& file, const Json& root, const std::string& text) {
  const Node node{file, "", root};
  if (node.at("format").text() != kFormat)
    node.at("format").fail(fmt::format("must be '{}'", kFormat));
  const auto version_number = node.at("version").integer();
  require<ConfigError>(
      version_number == kManifestVersion,
      "{}: version: is {}, but this program reads {}; use the veomni that wrote it", file.string(),
      version_number, kManifestVersion);
  const auto stored = node.at("checksum").text();
  const auto body = text.size() > kTailBytes ? text.size() - kTailBytes : 0;
  const auto tail = fmt::format("{}{}{}", kChecksumKey, checksum_of(text.data(), body), kEnd);
  require<ConfigError>(
      text.compare(body, text.npos, tail) == 0,
      "{}: checksum: {} does not fit the manifest's text; the file is damaged or was edited",
      file.string(), in_quotes(stored));
}

}  // namespace

std::string range_name(const std::string& tensor, int64_t begin, int64_t end) {
  return fmt::format("{}[{}:{}]", tensor, begin, end);
}

void check_coverage(const std::string& where, const std::string& name, StoredTensor& tensor) {
  const auto count = count_elements(tensor.shape);
  require<ConfigError>(count.has_value(), "{}: tensor {}: shape [{}] is impossible", where,
                       in_quotes(name), fmt::join(tensor.shape, ", "));
  std::stable_sort(tensor.ranges.begin(), tensor.ranges.end(),
                   [](const auto& a, const auto& b) { return a.begin < b.begin; });
  int64_t expected = 0;
  for (const auto& range : tensor.ranges) {
    require<ConfigError>(range.begin >= expected,
                         "{}: tensor {}: elements [{}, {}) are stored twice", where,
                         in_quotes(name), range.begin, std::min(expected, range.end));
    require<ConfigError>(range.begin == expected, "{}: tensor {}: elements [{}, {}) are missing",
                         where, in_quotes(name), expected, range.begin);
    expected = range.end;
  }
  require<ConfigError>(expected == *count, "{}: tensor {}: elements [{}, {}) are {}", where,
                       in_quotes(name), std::min(expected, *count), std::max(expected, *count),
                       expected < *count ? "missing" : "beyond its end");
}

std::string manifest_text(const Manifest& manifest) {
  check_finite(manifest.state, "");
  std::vector<std::string> shards, tensors;
  for (const auto& shard : manifest.shards) {
    shards.push_back(Json({{"file", shard.file},
                           {"bytes", shard.bytes},
                           {"header_checksum", shard.header_checksum}})
                         .dump());
  }
  for (const auto& [name, tensor] : manifest.tensors) tensors.push_back(tensor_line(name, tensor));
  std::string state;
  try {
    state = manifest.state.dump();
  } catch (const Json::exception&) {
    throw Error("checkpoint: state holds text that is not UTF-8");
  }
  auto text = fmt::format(
      "{{\n\"format\": \"{}\",\n\"version\": {},\n\"program\": {},\n\"step\": "
      "{},\n\"recipe_hash\": \"{}\",\n"
      "\"shards\": [\n{}\n],\n\"tensors\": [\n{}\n],\n\"state\": {}",
      kFormat, kManifestVersion, Json(version()).dump(), manifest.step, manifest.recipe_hash,
      fmt::join(shards, ",\n"), fmt::join(tensors, ",\n"), state);
  return text + fmt::format("{}{}{}", kChecksumKey, checksum_of(text.data(), text.size()), kEnd);
}

Manifest read_manifest(const fs::path& file) {
  const auto text = read_text_file(file);
  const auto root = parse(file, text);
  check_identity(file, root, text);
  const Node node{file, "", root};
  Manifest manifest;
  manifest.step = node.at("step").integer();
  manifest.recipe_hash = node.at("recipe_hash").text();
  manifest.shards = read_shards(node.at("shards"));
  read_tensors(node.at("tensors"), manifest);
  manifest.state = node.at("state").value;
  return manifest;
}

}  // namespace veomni
