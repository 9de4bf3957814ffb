#pragma once
// The safetensors format (github.com/huggingface/safetensors): an 8-byte little-endian header
// length, a JSON header {name: {dtype, shape, data_offsets}}, then the data of all tensors without
// gaps. The reader is strict: whatever it accepts, every tensor lies inside the file, none overlap
// and no byte is unaccounted for.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace veomni {

/// A tensor in a file or about to be written; row-major, little-endian. Does not own its data.
struct SafetensorsTensor {
  std::string name;
  std::string dtype;  ///< F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL; read only: U64, U32,
                      ///< U16, F8_E4M3, F8_E5M2
  std::vector<int64_t> shape = {};
  const void* data = nullptr;
  uint64_t bytes = 0;  ///< set by the reader; the writer computes it
};

/// Bytes of one element, 0 for an unknown dtype.
uint64_t dtype_bytes(std::string_view dtype);

/// Product of the sizes (of those that are not 0, to be safe to compute with); nothing when one is
/// negative or the product exceeds 2^62. A shape with a 0 has 0 elements.
std::optional<int64_t> count_elements(const std::vector<int64_t>& shape);

/// A file opened and checked; data is mapped and read when touched.
class SafetensorsFile {
 public:
  static constexpr uint64_t kHeaderLimit = 100'000'000;  ///< bytes; the format's own limit

  /// Throws ConfigError: `FILE: byte N: what is wrong`.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const;
  const std::vector<SafetensorsTensor>& tensors() const;  ///< in order of their place in the file
  const SafetensorsTensor* find(const std::string& name) const;  ///< null when absent
  /// Throws ConfigError: `FILE: has no tensor "name"`.
  const SafetensorsTensor& get(const std::string& name) const;
  const std::map<std::string, std::string>& metadata() const;
  std::string_view header() const;  ///< the JSON text, padding included
  uint64_t file_bytes() const;
  /// Copies bytes [begin, begin + bytes) of the tensor's data, without mapping them: what is read
  /// once costs no memory beside `out`. Thread-safe. Throws ConfigError when the file has become
  /// shorter.
  void read(const SafetensorsTensor& tensor, uint64_t begin, uint64_t bytes, void* out) const;
  uint64_t offset(const SafetensorsTensor& tensor) const;  ///< of its first byte in the file

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

/// Writes the file atomically and synced. Larger dtypes come first, so that all data is aligned to
/// its element. Throws Error on tensors that make no file (unknown dtype, a name used twice),
/// ConfigError when the disk refuses.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<SafetensorsTensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace veomni
