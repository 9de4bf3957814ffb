// Reading checkpoints and finding them.
#include "core/checkpoint/checkpoint.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstring>
#include <map>

#include "core/checkpoint/file_io.h"
#include "core/checkpoint/manifest.h"
#include "core/checkpoint/safetensors.h"
#include "core/error.h"

namespace veomni {
namespace fs = std::filesystem;
namespace {

/// The step of `step-00000100`, or nothing for any other name.
std::optional<int64_t> step_of(const std::string& name) {
  constexpr std::string_view kPrefix = "step-";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int64_t step = 0;
  const auto [end, error] =
      std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), step);
  const bool whole = error == std::errc{} && end == name.data() + name.size();
  return whole && step >= 0 && checkpoint_name(step) == name ? std::optional(step) : std::nullopt;
}

std::string list_for_people(const fs::path& checkpoints) {
  const auto steps = list_checkpoints(checkpoints);
  return steps.empty()
             ? fmt::format("{} holds no checkpoint", checkpoints.string())
             : fmt::format("{} holds steps {}", checkpoints.string(), fmt::join(steps, ", "));
}

std::optional<fs::path> newest(const fs::path& checkpoints) {
  const auto steps = list_checkpoints(checkpoints);
  if (steps.empty()) return std::nullopt;
  return checkpoints / checkpoint_name(steps.back());
}

/// One stored range with its memory; `checked` once its checksum was found right.
struct MappedRange {
  StoredRange stored;
  const std::byte* data = nullptr;
  uint64_t bytes = 0;
  std::atomic<bool> checked{false};

  MappedRange(StoredRange range, const SafetensorsTensor& tensor)
      : stored(std::move(range)),
        data(static_cast<const std::byte*>(tensor.data)),
        bytes(tensor.bytes) {}
};

struct MappedTensor {
  std::string dtype;
  std::vector<int64_t> shape;
  std::vector<std::unique_ptr<MappedRange>> ranges;
};

}  // namespace

struct Checkpoint::State {
  fs::path directory;
  int64_t step = 0;
  std::string recipe_hash;
  Json state;
  std::vector<SafetensorsFile> shards;
  std::map<std::string, MappedTensor> tensors;

  void open_shards(const Manifest& manifest);
  void map_tensor(const std::string& name, const StoredTensor& stored);
  const MappedTensor& get(const std::string& name) const;
  void check(const std::string& name, MappedRange& range) const;
};

void Checkpoint::State::open_shards(const Manifest& manifest) {
  for (const auto& stored : manifest.shards) {
    const auto path = directory / stored.file;
    require<ConfigError>(path_exists(path),
                         "{}: is missing, but the checkpoint's manifest names it", path.string());
    SafetensorsFile shard(path);
    require<ConfigError>(shard.file_bytes() == stored.bytes,
                         "{}: byte {}: has {} bytes, but the manifest says {}", path.string(),
                         std::min(shard.file_bytes(), stored.bytes), shard.file_bytes(),
                         stored.bytes);
    const auto checksum = checksum_of(shard.header().data(), shard.header().size());
    require<ConfigError>(checksum == stored.header_checksum,
                         "{}: byte 8: the header's checksum is {}, but the manifest says {}",
                         path.string(), checksum, in_quotes(stored.header_checksum));
    shards.push_back(std::move(shard));
  }
}

void Checkpoint::State::map_tensor(const std::string& name, const StoredTensor& stored) {
  auto& tensor = tensors[name];
  tensor.dtype = stored.dtype;
  tensor.shape = stored.shape;
  for (const auto& range : stored.ranges) {
    const auto& shard = shards[range.shard];
    const auto& piece = shard.get(range_name(name, range.begin, range.end));
    require<ConfigError>(
        piece.dtype == stored.dtype && piece.shape == std::vector<int64_t>{range.end - range.begin},
        "{}: byte {}: tensor {} has another dtype or length than the manifest says",
        shard.path().string(), shard.offset(piece), in_quotes(piece.name));
    tensor.ranges.push_back(std::make_unique<MappedRange>(range, piece));
  }
}

const MappedTensor& Checkpoint::State::get(const std::string& name) const {
  const auto found = tensors.find(name);
  require<ConfigError>(found != tensors.end(), "{}: has no tensor {}", directory.string(),
                       in_quotes(name));
  return found->second;
}

void Checkpoint::State::check(const std::string& name, MappedRange& range) const {
  if (range.checked) return;
  const auto& shard = shards[range.stored.shard];
  const auto full_name = range_name(name, range.stored.begin, range.stored.end);
  require<ConfigError>(checksum_of(range.data, range.bytes) == range.stored.checksum,
                       "{}: byte {}: the data of {} is damaged (checksum); use another checkpoint",
                       shard.path().string(), shard.offset(shard.get(full_name)),
                       in_quotes(full_name));
  range.checked = true;
}

Checkpoint::Checkpoint(const fs::path& directory) : state_(std::make_shared<State>()) {
  const auto file = directory / kManifestName;
  require<ConfigError>(path_exists(file), "{}: is not a checkpoint: it has no {}",
                       directory.string(), kManifestName);
  const auto manifest = read_manifest(file);
  state_->directory = directory;
  state_->step = manifest.step;
  state_->recipe_hash = manifest.recipe_hash;
  state_->state = manifest.state;
  state_->open_shards(manifest);
  for (const auto& [name, stored] : manifest.tensors) state_->map_tensor(name, stored);
}

int64_t Checkpoint::step() const { return state_->step; }
const Json& Checkpoint::state() const { return state_->state; }
const std::string& Checkpoint::recipe_hash() const { return state_->recipe_hash; }
const fs::path& Checkpoint::directory() const { return state_->directory; }
bool Checkpoint::has(const std::string& name) const { return state_->tensors.count(name) > 0; }
std::vector<int64_t> Checkpoint::shape(const std::string& name) const {
  return state_->get(name).shape;
}
const std::string& Checkpoint::dtype(const std::string& name) const {
  return state_->get(name).dtype;
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> result;
  for (const auto& [name, tensor] : state_->tensors) result.push_back(name);
  return result;
}

void Checkpoint::read(const TensorRange& wanted) const {
  const auto& tensor = state_->get(wanted.name);
  const auto where = state_->directory.string();
  require<ConfigError>(wanted.shape == tensor.shape,
                       "{}: tensor {} has shape [{}], but [{}] is needed; same recipe?", where,
                       in_quotes(wanted.name), fmt::join(tensor.shape, ", "),
                       fmt::join(wanted.shape, ", "));
  require<ConfigError>(wanted.dtype == tensor.dtype, "{}: tensor {} has dtype {}, but {} is needed",
                       where, in_quotes(wanted.name), tensor.dtype, wanted.dtype);
  const int64_t count = count_elements(tensor.shape).value_or(0);
  require<Error>(wanted.begin >= 0 && wanted.begin <= wanted.end && wanted.end <= count,
                 "{}: tensor {}: [{}, {}) is outside its {} elements", where,
                 in_quotes(wanted.name), wanted.begin, wanted.end, count);
  const auto element = static_cast<int64_t>(dtype_bytes(tensor.dtype));
  auto range = std::partition_point(tensor.ranges.begin(), tensor.ranges.end(),
                                    [&](const auto& r) { return r->stored.end <= wanted.begin; });
  for (; range != tensor.ranges.end() && (*range)->stored.begin < wanted.end; ++range) {
    auto& source = **range;
    state_->check(wanted.name, source);
    const int64_t begin = std::max(wanted.begin, source.stored.begin);
    const int64_t end = std::min(wanted.end, source.stored.end);
    if (begin >= end) continue;
    std::memcpy(static_cast<std::byte*>(wanted.data) + (begin - wanted.begin) * element,
                source.data + (begin - source.stored.begin) * element,
                static_cast<size_t>((end - begin) * element));
  }
}

void Checkpoint::verify() const {
  for (const auto& [name, tensor] : state_->tensors) {
    for (const auto& range : tensor.ranges) state_->check(name, *range);
  }
}

std::string checkpoint_name(int64_t step) { return fmt::format("step-{:08}", step); }

std::vector<int64_t> list_checkpoints(const fs::path& checkpoints) {
  std::vector<int64_t> steps;
  std::error_code error;
  for (fs::directory_iterator entry(checkpoints, error), end; !error && entry != end;
       entry.increment(error)) {
    const auto step = step_of(entry->path().filename().string());
    if (step && fs::exists(entry->path() / kManifestName, error)) steps.push_back(*step);
  }
  require<ConfigError>(!error || error == std::errc::no_such_file_or_directory,
                       "{}: cannot list: {}", checkpoints.string(), error.message());
  std::sort(steps.begin(), steps.end());
  return steps;
}

bool is_checkpoint(const fs::path& directory) { return path_exists(directory / kManifestName); }

std::optional<fs::path> find_checkpoint(const fs::path& run, const std::string& resume,
                                        const std::string& option) {
  const auto checkpoints = run / "checkpoints";
  if (resume == "auto") return newest(checkpoints);
  const bool digits =
      !resume.empty() && resume.find_first_not_of("0123456789") == std::string::npos;
  if (digits) {
    int64_t step = -1;
    std::from_chars(resume.data(), resume.data() + resume.size(),
                    step);  // out of range: no such step either
    const auto steps = list_checkpoints(checkpoints);
    require<ConfigError>(std::find(steps.begin(), steps.end(), step) != steps.end(),
                         "{} {}: no such step; {}", option, resume, list_for_people(checkpoints));
    return checkpoints / checkpoint_name(step);
  }
  const fs::path path(resume);
  if (is_checkpoint(path)) return path;
  if (auto found = newest(path / "checkpoints")) return found;
  throw ConfigError(
      fmt::format("{} {}: is neither auto, a step, a checkpoint nor a run with one; {}", option,
                  in_quotes(resume), list_for_people(checkpoints)));
}

}  // namespace veomni
