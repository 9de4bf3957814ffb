#pragma once
// Files that survive a crash: written beside their name, synced, renamed. Every error is a
// ConfigError of one line that starts with the path and ends in what the system said.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace veomni {

/// A file that appears under its name only when complete: until commit() it is `.NAME.partial` in
/// the same directory.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();  ///< without commit(): removes the partial file
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Syncs the file, renames it, syncs its directory.
  void commit();

 private:
  [[noreturn]] void fail(const char* what);
  std::filesystem::path path_, partial_;
  int descriptor_ = -1;
};

/// A regular file mapped read-only. The mapping lasts as long as the object.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  const std::byte* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }
  /// Copies bytes [offset, offset + count) without touching the mapping; the first call opens the
  /// file again, for the object's life. Thread-safe. Throws ConfigError when they cannot be read, or
  /// the file has changed its size.
  void read(uint64_t offset, uint64_t count, void* out) const;
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), bytes_}; }

 private:
  int descriptor() const;

  std::filesystem::path path_;
  mutable std::atomic<int> descriptor_{-1};
  const std::byte* data_ = nullptr;
  uint64_t bytes_ = 0;
};

/// False when nothing has that name; throws ConfigError when it cannot be told (no permission).
bool path_exists(const std::filesystem::path& path);

/// Makes renames and new names in `directory` durable.
void sync_directory(const std::filesystem::path& directory);

/// Creates it and its parents; the new names are durable when it returns.
void make_directories(const std::filesystem::path& directory);

void write_file_atomically(const std::filesystem::path& path, std::string_view text);

/// The whole of a regular file of at most `limit_bytes`.
std::string read_text_file(const std::filesystem::path& path,
                           uint64_t limit_bytes = uint64_t{1} << 32);

/// `text` in double quotes, on one line whatever it holds: for names from files in error lines.
std::string in_quotes(std::string_view text);

/// 16 hexadecimal digits of XXH3 (64 bits, seed 0; Collet 2019).
std::string checksum_of(const void* data, uint64_t bytes);

}  // namespace veomni
