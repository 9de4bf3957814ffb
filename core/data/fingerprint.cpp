#include "core/data/fingerprint.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "core/checkpoint/file_io.h"
#include "core/error.h"
#include "core/recipe/recipe.h"

namespace veomni {
namespace fs = std::filesystem;
namespace {

Json file_fingerprint(const fs::path& path) {
  const MappedFile file(path);
  return {{"bytes", file.bytes()}, {"checksum", checksum_of(file.data(), file.bytes())}};
}

Json folder_fingerprint(const fs::path& folder) {
  uint64_t bytes = 0;
  std::vector<std::string> lines;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    bytes += entry.file_size();
    lines.push_back(
        fmt::format("{} {}\n", fs::relative(entry.path(), folder).string(), entry.file_size()));
  }
  std::sort(lines.begin(), lines.end());
  std::string all;
  for (const auto& line : lines) all += line;
  return {{"bytes", bytes}, {"checksum", checksum_of(all.data(), all.size())}};
}

Json fingerprints(const Json& paths) try {
  Json out = Json::array();
  for (const auto& item : paths.is_array() ? paths : Json::array({paths})) {
    const fs::path path = item.get<std::string>();
    out.push_back(fs::is_directory(path) ? folder_fingerprint(path) : file_fingerprint(path));
  }
  return out;
} catch (const fs::filesystem_error& error) {
  throw ConfigError(
      fmt::format("{}: {}; check the folder", error.path1().string(), error.code().message()));
}

}  // namespace

Json data_fingerprint(const Recipe& recipe) {
  Json out = Json::object();
  for (const auto& source : recipe.sources) {
    for (const char* key : {"path", "labels"}) {
      if (source.keys.contains(key)) out[source.name][key] = fingerprints(source.keys.at(key));
    }
  }
  return out;
}

}  // namespace veomni
