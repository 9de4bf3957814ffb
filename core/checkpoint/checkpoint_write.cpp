// Writing checkpoints: shards into a hidden directory, the manifest, one rename.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <system_error>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/file_io.h"
#include "core/checkpoint/manifest.h"
#include "core/checkpoint/safetensors.h"
#include "core/error.h"
#include "core/log.h"

namespace veomni {
namespace fs = std::filesystem;
namespace {

constexpr const char* kRangesKey =
    "veomni.ranges";  // in the shard's metadata: what finish_checkpoint needs

fs::path partial_directory(const fs::path& checkpoints, int64_t step) {
  return checkpoints / ("." + checkpoint_name(step) + ".partial");
}

std::string shard_name(int rank) { return fmt::format("shard-{:05}.safetensors", rank); }

void check_range(const TensorRange& range) {
  const auto count = count_elements(range.shape);
  require<Error>(count && range.begin >= 0 && range.begin <= range.end && range.end <= *count,
                 "checkpoint: tensor {}: [{}, {}) is no range of shape [{}]", in_quotes(range.name),
                 range.begin, range.end, fmt::join(range.shape, ", "));
  require<Error>(dtype_bytes(range.dtype) > 0, "checkpoint: tensor {}: dtype {} is unknown",
                 in_quotes(range.name), in_quotes(range.dtype));
}

/// An empty range says something only about a tensor that has no elements at all.
bool is_stored(const TensorRange& range) {
  return range.begin < range.end || count_elements(range.shape) == 0;
}

/// What one shard's metadata says, added to the manifest.
void add_shard(const SafetensorsFile& file, Manifest& manifest) {
  const auto found = file.metadata().find(kRangesKey);
  require<ConfigError>(found != file.metadata().end(), "{}: is not a shard of a checkpoint",
                       file.path().string());
  const size_t shard = manifest.shards.size();
  manifest.shards.push_back(
      {.file = file.path().filename().string(),
       .bytes = file.file_bytes(),
       .header_checksum = checksum_of(file.header().data(), file.header().size())});
  for (const auto& item : Json::parse(found->second)) {
    const auto name = item.at("name").get<std::string>();
    StoredTensor described{.dtype = item.at("dtype"),
                           .shape = item.at("shape").get<std::vector<int64_t>>()};
    auto& tensor = manifest.tensors.try_emplace(name, described).first->second;
    require<ConfigError>(tensor.dtype == described.dtype && tensor.shape == described.shape,
                         "{}: tensor {}: shards disagree about its shape or dtype",
                         file.path().string(), in_quotes(name));
    const StoredRange range{.shard = shard,
                            .begin = item.at("begin"),
                            .end = item.at("end"),
                            .checksum = item.at("checksum")};
    const bool repeats_nothing = range.begin == range.end && !tensor.ranges.empty();
    if (!repeats_nothing) tensor.ranges.push_back(range);
  }
}

Manifest collect_shards(const fs::path& partial, int64_t step, int ranks) {
  Manifest manifest{.step = step};
  for (int rank = 0; rank < ranks; ++rank) {
    const auto file = partial / shard_name(rank);
    if (!path_exists(file)) continue;
    try {
      add_shard(SafetensorsFile(file), manifest);
    } catch (const Json::exception&) {
      throw ConfigError(
          fmt::format("{}: '{}' in its metadata is damaged", file.string(), kRangesKey));
    }
  }
  require<ConfigError>(!manifest.shards.empty(), "{}: holds no shard; no rank wrote any",
                       partial.string());
  for (auto& [name, tensor] : manifest.tensors) check_coverage(partial.string(), name, tensor);
  return manifest;
}

/// Files of other ranks, or of a killed run with more ranks, must not travel into the finished
/// checkpoint.
void remove_strangers(const fs::path& partial, const Manifest& manifest) {
  std::set<std::string> known;
  for (const auto& shard : manifest.shards) known.insert(shard.file);
  for (const auto& entry : fs::directory_iterator(partial)) {
    if (known.count(entry.path().filename().string()) == 0) fs::remove_all(entry.path());
  }
}

/// Hides a directory in one step and only then deletes it, so that a kill never leaves half of it
/// visible.
void remove_directory(const fs::path& directory) {
  auto hidden = directory;
  if (directory.filename().string().front() != '.') {
    hidden = directory.parent_path() / ("." + directory.filename().string() + ".removed");
    fs::remove_all(hidden);
    fs::rename(directory, hidden);
  }
  fs::remove_all(hidden);
}

/// The partial directory takes the final name. An older checkpoint of that step changes places with
/// it in one step.
void publish(const fs::path& partial, const fs::path& final_path) {
  const auto fail = [&](int error) {
    throw ConfigError(fmt::format("{}: cannot rename to {}: {}", partial.string(),
                                  final_path.string(), std::generic_category().message(error)));
  };
  if (!fs::exists(final_path)) {
    if (::rename(partial.c_str(), final_path.c_str()) != 0) fail(errno);
  } else if (::renameat2(AT_FDCWD, partial.c_str(), AT_FDCWD, final_path.c_str(),
                         RENAME_EXCHANGE) != 0) {
    if (errno != EINVAL && errno != ENOSYS) fail(errno);
    remove_directory(final_path);  // file systems that cannot exchange names, such as NFS
    if (::rename(partial.c_str(), final_path.c_str()) != 0) fail(errno);
  }
  sync_directory(final_path.parent_path());
}

void remove_old(const fs::path& checkpoints, int64_t step, int64_t keep) {
  if (keep <= 0) return;
  auto steps = list_checkpoints(checkpoints);
  std::erase_if(steps, [&](int64_t other) { return other > step; });
  for (size_t i = 0; i + static_cast<size_t>(keep) < steps.size(); ++i) {
    remove_directory(checkpoints / checkpoint_name(steps[i]));
  }
}

}  // namespace

void write_checkpoint_shard(const fs::path& checkpoints, int64_t step, int rank,
                            const std::vector<TensorRange>& ranges) {
  std::vector<SafetensorsTensor> tensors;
  Json described = Json::array();
  for (const auto& range : ranges) {
    check_range(range);
    if (!is_stored(range)) continue;
    const int64_t count = range.end - range.begin;
    tensors.push_back({.name = range_name(range.name, range.begin, range.end),
                       .dtype = range.dtype,
                       .shape = {count},
                       .data = range.data});
    const auto checksum =
        checksum_of(range.data, static_cast<uint64_t>(count) * dtype_bytes(range.dtype));
    described.push_back({{"name", range.name},
                         {"dtype", range.dtype},
                         {"shape", range.shape},
                         {"begin", range.begin},
                         {"end", range.end},
                         {"checksum", checksum}});
  }
  const auto partial = partial_directory(checkpoints, step);
  make_directories(partial);
  const auto file = partial / shard_name(rank);
  if (tensors.empty()) {
    fs::remove(file);
    return;
  }
  write_safetensors(file, tensors,
                    {{kRangesKey, described.dump(-1, ' ', false, Json::error_handler_t::replace)}});
}

void finish_checkpoint(const fs::path& checkpoints, int64_t step, int ranks, const Json& state,
                       int64_t keep) {
  const auto partial = partial_directory(checkpoints, step);
  try {
    auto manifest = collect_shards(partial, step, ranks);
    manifest.state = state;
    if (state.is_object() && state.contains("recipe"))
      manifest.recipe_hash = recipe_hash(state.at("recipe"));
    remove_strangers(partial, manifest);
    write_file_atomically(partial / kManifestName, manifest_text(manifest));
    publish(partial, checkpoints / checkpoint_name(step));
  } catch (const fs::filesystem_error& error) {
    throw ConfigError(fmt::format("{}: {}", partial.string(), error.code().message()));
  }
  try {
    remove_leftovers(checkpoints);
    remove_old(checkpoints, step, keep);
  } catch (const fs::filesystem_error& error) {  // the new checkpoint is safe: training goes on
    log(LogLevel::warning, "{}: cannot remove old checkpoints: {}", checkpoints.string(),
        error.code().message());
  }
}

void remove_leftovers(const fs::path& checkpoints) {
  if (!fs::is_directory(checkpoints)) return;
  for (const auto& entry : fs::directory_iterator(checkpoints)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with(".step-") && (name.ends_with(".partial") || name.ends_with(".removed"))) {
      fs::remove_all(entry.path());
    }
  }
}

std::string recipe_hash(const Json& recipe) {
  const auto text = recipe.dump(-1, ' ', false, Json::error_handler_t::replace);
  return checksum_of(text.data(), text.size());
}

}  // namespace veomni
