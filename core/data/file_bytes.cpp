#include "core/data/file_bytes.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "core/error.h"

namespace veomni {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;

std::string read_raw(const std::string& path) {
  std::error_code ignored;
  require<ConfigError>(!std::filesystem::is_directory(path, ignored),
                       "{}: is a folder; give a file", path);
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  require<ConfigError>(file != nullptr, "{}: {}; check the path", path, std::strerror(errno));
  const auto length = std::filesystem::file_size(path, ignored);
  // One byte more than the file says: reading stops there unless it has grown (or says nothing, as pipes do).
  std::string bytes(ignored ? kChunkBytes : static_cast<size_t>(length) + 1, '\0');
  size_t done = 0;
  while (const size_t got = std::fread(bytes.data() + done, 1, bytes.size() - done, file.get())) {
    done += got;
    if (done == bytes.size()) bytes.resize(done + kChunkBytes);
  }
  bytes.resize(done);
  require<ConfigError>(std::ferror(file.get()) == 0, "{}: reading failed; check the disk", path);
  return bytes;
}

struct Inflater {
  z_stream stream{};
  Inflater() {
    constexpr int kGzipWindow =
        15 + 16;  // zlib: the largest window, gzip header and checksum wanted
    if (inflateInit2(&stream, kGzipWindow) != Z_OK) throw Error("zlib: inflateInit2 failed");
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream); }
};

// Unpacks one member that starts at `offset`; returns where it ends.
size_t inflate_member(const std::string& path, const std::string& packed, size_t offset,
                      std::string& bytes) {
  Inflater inflater;
  z_stream& z = inflater.stream;
  constexpr size_t kLeastBytes = size_t{1} << 12, kRatio = 8;  // small files take small pieces
  std::string chunk(std::clamp(kRatio * (packed.size() - offset), kLeastBytes, kChunkBytes), '\0');
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    if (z.avail_in == 0) {
      const size_t left = std::min(packed.size() - offset, kChunkBytes);
      require<ConfigError>(left > 0, "{}: gzip data is cut short; copy the file again", path);
      z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data() + offset));
      z.avail_in = static_cast<uInt>(left);
      offset += left;
    }
    z.next_out = reinterpret_cast<Bytef*>(chunk.data());
    z.avail_out = static_cast<uInt>(chunk.size());
    status = inflate(&z, Z_NO_FLUSH);
    require<ConfigError>(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR,
                         "{}: gzip data is damaged ({}); copy the file again", path,
                         z.msg != nullptr ? z.msg : "checksum");
    bytes.append(chunk, 0, chunk.size() - z.avail_out);
  }
  return offset - z.avail_in;
}

}  // namespace

std::string read_file_bytes(const std::string& path) {
  std::string raw = read_raw(path);
  const auto gzip_at = [&](size_t i) {
    return raw.size() >= i + 2 && raw[i] == '\x1f' && raw[i + 1] == '\x8b';
  };
  if (!gzip_at(0)) return raw;
  std::string bytes;
  size_t offset = 0;
  while (gzip_at(offset)) offset = inflate_member(path, raw, offset, bytes);
  require<ConfigError>(raw.find_first_not_of('\0', offset) == std::string::npos,
                       "{}: {} bytes that are no gzip follow the data; copy the file again", path,
                       raw.size() - offset);
  return bytes;
}

}  // namespace veomni
