#include "core/report/tensorboard.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "core/error.h"

namespace veomni {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPrefix = "events.out.tfevents.";
constexpr std::string_view kSuffix = ".veomni";

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82f63b78u : 0u);
    table[i] = value;
  }
  return table;
}

/// TFRecord stores checksums rotated and shifted, because checksums of data that holds checksums
/// are weak.
uint32_t masked(uint32_t crc) { return std::rotr(crc, 15) + 0xa282ead8u; }

std::string little_endian(uint64_t value, int bytes) {
  std::string result;
  for (int i = 0; i < bytes; ++i) result += static_cast<char>(value >> (8 * i));
  return result;
}

// Protocol buffer wire format: a field is a varint of (number << 3 | kind), then its value.
std::string varint(uint64_t value) {
  std::string result;
  for (; value >= 0x80; value >>= 7) result += static_cast<char>(value | 0x80);
  return result + static_cast<char>(value);
}
std::string key(int number, int kind) { return varint(static_cast<uint64_t>(number << 3 | kind)); }
std::string integer_field(int number, int64_t value) {
  return key(number, 0) + varint(static_cast<uint64_t>(value));
}
std::string double_field(int number, double value) {
  return key(number, 1) + little_endian(std::bit_cast<uint64_t>(value), 8);
}
std::string float_field(int number, float value) {
  return key(number, 5) + little_endian(std::bit_cast<uint32_t>(value), 4);
}
std::string bytes_field(int number, std::string_view bytes) {
  return key(number, 2) + varint(bytes.size()) + std::string(bytes);
}

/// Event { wall_time = 1, step = 2, one of: file_version = 3, summary = 5, session_log = 7 }
std::string event(double wall_time, int64_t step, const std::string& what) {
  return double_field(1, wall_time) + integer_field(2, step) + what;
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

bool is_ours(const fs::path& path) {
  const auto name = path.filename().string();
  return name.starts_with(kPrefix) && name.ends_with(kSuffix);
}

/// Readers take files in the order of their names, which begin with the time: a new file must sort
/// last.
fs::path new_file(const fs::path& directory, bool remove_older) {
  auto time = static_cast<int64_t>(now());
  std::vector<fs::path> older;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (is_ours(entry.path())) older.push_back(entry.path());
  }
  for (const auto& path : older) {
    if (remove_older) {
      fs::remove(path);
    } else {
      const int64_t taken = std::atoll(path.filename().c_str() + kPrefix.size());
      time = std::max(time, taken + 1);
    }
  }
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) std::strcpy(host.data(), "localhost");
  return directory /
         fmt::format("{}{:010}.{}.{}{}", kPrefix, time, host.data(), ::getpid(), kSuffix);
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kTable = make_crc_table();
  uint32_t crc = ~0u;
  for (const char c : bytes)
    crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff];
  return ~crc;
}

std::string tfrecord(std::string_view bytes) {
  const auto length = little_endian(bytes.size(), 8);
  return length + little_endian(masked(crc32c(length)), 4) + std::string(bytes) +
         little_endian(masked(crc32c(bytes)), 4);
}

std::string scalar_event(double wall_time, int64_t step, const std::vector<Scalar>& scalars) {
  std::string summary;  // Summary { repeated Value value = 1 { tag = 1, simple_value = 2 } }
  for (const auto& scalar : scalars) {
    summary += bytes_field(
        1, bytes_field(1, scalar.tag) + float_field(2, static_cast<float>(scalar.value)));
  }
  return event(wall_time, step, bytes_field(5, summary));
}

std::string text_event(double wall_time, int64_t step, const std::string& tag,
                       const std::string& text) {
  // TensorProto { dtype = 1 (DT_STRING = 7), tensor_shape = 2 {}, string_val = 8 }: a scalar
  const auto tensor = integer_field(1, 7) + bytes_field(2, "") + bytes_field(8, text);
  // SummaryMetadata { plugin_data = 1 { plugin_name = 1 }, data_class = 4 (DATA_CLASS_TENSOR = 2) }
  const auto metadata = bytes_field(1, bytes_field(1, "text")) + integer_field(4, 2);
  const auto value = bytes_field(1, tag) + bytes_field(8, tensor) + bytes_field(9, metadata);
  return event(wall_time, step, bytes_field(5, bytes_field(1, value)));
}

EventWriter::EventWriter(const fs::path& directory, int64_t first_step)
    : file_(nullptr, &std::fclose) {
  try {
    fs::create_directories(directory);
    path_ = new_file(directory, first_step == 0);
  } catch (const fs::filesystem_error& error) {
    throw ConfigError(fmt::format("{}: {}", directory.string(), error.code().message()));
  }
  file_.reset(std::fopen(path_.c_str(), "wxb"));
  require<ConfigError>(file_ != nullptr, "{}: cannot create: {}", path_.string(),
                       std::strerror(errno));
  append(event(now(), 0, bytes_field(3, "brain.Event:2")));
  // SessionLog { status = 1 (START = 1) }: readers drop what they have of this step and later ones.
  if (first_step > 0) append(event(now(), first_step + 1, bytes_field(7, integer_field(1, 1))));
}

void EventWriter::append(const std::string& bytes) {
  const auto record = tfrecord(bytes);
  const bool ok = std::fwrite(record.data(), 1, record.size(), file_.get()) == record.size() &&
                  std::fflush(file_.get()) == 0;
  require<ConfigError>(ok, "{}: cannot write: {}", path_.string(), std::strerror(errno));
}

void EventWriter::scalars(int64_t step, const std::vector<Scalar>& scalars) {
  if (!scalars.empty()) append(scalar_event(now(), step, scalars));
}

void EventWriter::text(int64_t step, const std::string& tag, const std::string& text) {
  append(text_event(now(), step, tag, text));
}

}  // namespace veomni
