#pragma once
// The weights of a model directory in Hugging Face's form: model.safetensors, or several files with
// model.safetensors.index.json.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/checkpoint/safetensors.h"

namespace veomni {

class HuggingFaceWeights {
 public:
  /// Opens and checks every file. Throws ConfigError naming the file: neither form is there, an index that names an
  /// absent file or a tensor its file does not hold, a damaged file.
  explicit HuggingFaceWeights(const std::filesystem::path& directory);

  bool has(const std::string& name) const { return tensors_.count(name) > 0; }
  /// Throw ConfigError on absent names.
  const std::vector<int64_t>& shape(const std::string& name) const;
  /// Elements [begin, end) of the flattened tensor as f32; only their bytes are read. F32, F16, BF16 and F64.
  /// Thread-safe.
  void read(const std::string& name, int64_t begin, int64_t end, float* out) const;
  /// Where an element begins: file and byte. Reading in this order is reading the files from their beginnings to their ends.
  using FilePlace = std::pair<std::filesystem::path, uint64_t>;
  FilePlace place(const std::string& name, int64_t element) const;
  std::vector<std::string> names() const;  ///< sorted
  int64_t bytes() const;                   ///< of all tensors, as they are stored
  const std::filesystem::path& directory() const { return directory_; }

 private:
  struct Place {
    SafetensorsFile file;
    SafetensorsTensor tensor;
  };
  void open_index(const std::filesystem::path& index);
  void add_unlisted(const std::map<std::string, SafetensorsFile>& files);
  const Place& get(const std::string& name) const;

  std::filesystem::path directory_;
  std::map<std::string, Place> tensors_;
};

}  // namespace veomni
