#pragma once
// manifest.json of a checkpoint: which shard holds which elements of which tensor, with checksums,
// and the run's state. Its last key is a checksum of the text before it, so that a damaged manifest
// is never believed.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/json.h"

namespace veomni {

inline constexpr const char* kManifestName = "manifest.json";
inline constexpr int64_t kManifestVersion = 1;

struct ShardFile {
  std::string file;  ///< name within the checkpoint's directory
  uint64_t bytes = 0;
  std::string header_checksum = {};  ///< of the safetensors header's text
};

/// Elements [begin, end) of a flattened tensor; in the shard they are the 1-D tensor
/// `range_name(…)`.
struct StoredRange {
  size_t shard = 0;  ///< index into Manifest::shards
  int64_t begin = 0, end = 0;
  std::string checksum = {};  ///< of the bytes
};

struct StoredTensor {
  std::string dtype;
  std::vector<int64_t> shape = {};
  std::vector<StoredRange> ranges =
      {};  ///< ascending, without gap or overlap, from 0 to the element count
};

struct Manifest {
  int64_t step = 0;
  std::string recipe_hash = {};  ///< of state["recipe"]; empty when the state has none
  std::vector<ShardFile> shards = {};
  std::map<std::string, StoredTensor> tensors = {};
  Json state = {};
};

std::string range_name(const std::string& tensor, int64_t begin, int64_t end);  ///< weight[0:128]

/// Sorts the ranges and checks that they cover the tensor once: throws ConfigError starting with
/// `where`.
void check_coverage(const std::string& where, const std::string& name, StoredTensor& tensor);

/// Throws Error when the state holds what JSON cannot (a number that is not finite, text that is
/// not UTF-8).
std::string manifest_text(const Manifest& manifest);

/// Throws ConfigError naming the file, and the byte or key, of whatever is wrong.
Manifest read_manifest(const std::filesystem::path& file);

}  // namespace veomni
