#pragma once
// What the fuzzer feeds: every reader of files that come from elsewhere.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace veomni::fuzz {

struct Target {
  std::string name;
  std::vector<std::string> seeds;  ///< small sound inputs
  /// Writes the bytes into a file of the folder and reads that: returns, or throws ConfigError of
  /// one line.
  std::function<void(const std::string& bytes)> read;
  /// Makes lengths and checksums right again, so that damage behind them is reached; may be empty.
  std::function<void(std::string& bytes)> repair = {};
  std::vector<std::string> words = {};  ///< put in here and there
};

// `folder`: where the files go; it outlives the targets.
std::vector<Target> weight_targets(const std::filesystem::path& folder);
std::vector<Target> config_targets(const std::filesystem::path& folder);
std::vector<Target> tokenizer_targets(const std::filesystem::path& folder);
std::vector<Target> chat_targets(const std::filesystem::path& folder);
std::vector<Target> data_targets(const std::filesystem::path& folder);
std::vector<Target> media_targets(const std::filesystem::path& folder);

void write_bytes(const std::filesystem::path& file, const std::string& bytes);

}  // namespace veomni::fuzz
