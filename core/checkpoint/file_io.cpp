#include "core/checkpoint/file_io.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/error.h"
#include "core/json.h"

namespace veomni {
namespace fs = std::filesystem;
namespace {

std::string advice(int error) {
  if (error == ENOSPC || error == EDQUOT) return "; free some space or choose another 'output'";
  if (error == EFBIG) return "; the file size limit is too small for it (see ulimit -f)";
  if (error == EACCES || error == EPERM || error == EROFS) return "; check who may write there";
  return "";
}

[[noreturn]] void fail_errno(const fs::path& path, const char* what, int error) {
  throw ConfigError(fmt::format("{}: cannot {}: {}{}", path.string(), what,
                                std::generic_category().message(error), advice(error)));
}

/// Opens a regular file for reading; O_NONBLOCK so that a named pipe is refused instead of waited
/// for.
int open_regular(const fs::path& path, uint64_t& bytes) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) fail_errno(path, "open", errno);
  struct stat info {};
  if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(descriptor);
    throw ConfigError(fmt::format("{}: is not a regular file", path.string()));
  }
  bytes = static_cast<uint64_t>(info.st_size);
  return descriptor;
}

}  // namespace

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  partial_ = path_.parent_path() / ("." + path_.filename().string() + ".partial");
  descriptor_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail_errno(path_, "create", errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(partial_.c_str());
}

void AtomicFile::fail(const char* what) { fail_errno(path_, what, errno); }

void AtomicFile::write(const void* data, size_t bytes) {
  const auto* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const size_t chunk = std::min(bytes, size_t{1} << 30);  // Linux writes at most 2 GiB a call
    const ssize_t written = ::write(descriptor_, next, chunk);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write");
    next += written;
    bytes -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail("sync");
  const int closed =
      ::close(std::exchange(descriptor_, -1));  // network file systems report late errors here
  const int close_error = errno;
  if (closed != 0 || ::rename(partial_.c_str(), path_.c_str()) != 0) {
    const int error = closed != 0 ? close_error : errno;
    ::unlink(partial_.c_str());
    fail_errno(path_, "finish", error);
  }
  sync_directory(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const int descriptor = open_regular(path, bytes_);
  if (bytes_ > 0) {
    void* address = ::mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (address == MAP_FAILED) {
      const int error = errno;
      ::close(descriptor);
      fail_errno(path, "map", error);
    }
    data_ = static_cast<const std::byte*>(address);
  }
  ::close(descriptor);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), bytes_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(other.descriptor_.exchange(-1)),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

/// Not kept open from the start: a checkpoint of a thousand shards is only mapped.
int MappedFile::descriptor() const {
  if (const int known = descriptor_; known >= 0) return known;
  uint64_t bytes = 0;
  const int fresh = open_regular(path_, bytes);
  int none = -1;
  if (bytes == bytes_ && descriptor_.compare_exchange_strong(none, fresh)) return fresh;
  ::close(fresh);  // another thread was faster
  require<ConfigError>(bytes == bytes_,
                       "{}: has {} bytes, and had {} when it was opened; let nobody write to it",
                       path_.string(), bytes, bytes_);
  return none;
}

void MappedFile::read(uint64_t offset, uint64_t count, void* out) const {
  auto* next = static_cast<std::byte*>(out);
  while (count > 0) {
    const auto chunk = static_cast<size_t>(std::min(count, uint64_t{1} << 30));
    const ssize_t got = ::pread(descriptor(), next, chunk, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_errno(path_, "read", errno);
    require<ConfigError>(got > 0,
                         "{}: byte {}: the file has become shorter; let nobody write to it",
                         path_.string(), offset);
    next += got;
    offset += static_cast<uint64_t>(got);
    count -= static_cast<uint64_t>(got);
  }
}

bool path_exists(const fs::path& path) {
  std::error_code error;
  const bool result = fs::exists(path, error);
  if (error) fail_errno(path, "open", error.value());
  return result;
}

void sync_directory(const fs::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail_errno(directory, "open", errno);
  const int result = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  // Some file systems cannot sync a directory and say EINVAL; their renames are durable by
  // themselves.
  if (result != 0 && error != EINVAL) fail_errno(directory, "sync", error);
}

void make_directories(const fs::path& directory) {
  if (fs::is_directory(directory)) return;
  const auto parent = directory.parent_path();
  if (!parent.empty() && parent != directory) make_directories(parent);
  if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST)
    fail_errno(directory, "create", errno);
  if (!fs::is_directory(directory)) fail_errno(directory, "create", ENOTDIR);
  sync_directory(parent.empty() ? fs::path(".") : parent);
}

void write_file_atomically(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

std::string read_text_file(const fs::path& path, uint64_t limit_bytes) {
  uint64_t bytes = 0;
  const int descriptor = open_regular(path, bytes);
  std::string text(std::min(bytes, limit_bytes), '\0');
  size_t done = 0;
  ssize_t got = 0;
  do {
    got = ::read(descriptor, text.data() + done, text.size() - done);
    if (got > 0) done += static_cast<size_t>(got);
  } while (got > 0 || (got < 0 && errno == EINTR));
  const int error = errno;
  ::close(descriptor);
  if (got < 0) fail_errno(path, "read", error);
  require<ConfigError>(bytes <= limit_bytes, "{}: has {} bytes; at most {} are read", path.string(),
                       bytes, limit_bytes);
  text.resize(done);
  return text;
}

std::string in_quotes(std::string_view text) {
  return Json(std::string(text.substr(0, 200))).dump(-1, ' ', true, Json::error_handler_t::replace);
}

std::string checksum_of(const void* data, uint64_t bytes) {
  return fmt::format("{:016x}", static_cast<uint64_t>(XXH3_64bits(data, bytes)));
}

}  // namespace veomni
