#pragma once
// TensorBoard event files: TFRecord frames around Event protocol buffers, encoded by hand (the few
// fields used here are those of tensorflow/core/util/event.proto and framework/summary.proto).

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace veomni {

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4).
uint32_t crc32c(std::string_view bytes);

/// The frame of one record: length, masked crc of the length, bytes, masked crc of the bytes; all
/// little-endian.
std::string tfrecord(std::string_view bytes);

/// One point of a curve.
struct Scalar {
  std::string tag;
  double value = 0;
};

/// Encoded Event messages; `wall_time` in seconds since 1970.
std::string scalar_event(double wall_time, int64_t step, const std::vector<Scalar>& scalars);
std::string text_event(double wall_time, int64_t step, const std::string& tag,
                       const std::string& text);

/// Appends to a new file `events.out.tfevents.*` in a directory. Each call reaches the system
/// before it returns. Throws ConfigError when the disk refuses.
class EventWriter {
 public:
  /// Readers are told to forget events of steps after `first_step`; 0 also removes older event
  /// files of ours.
  EventWriter(const std::filesystem::path& directory, int64_t first_step);

  void scalars(int64_t step, const std::vector<Scalar>& scalars);
  void text(int64_t step, const std::string& tag, const std::string& text);

 private:
  void append(const std::string& event);
  std::filesystem::path path_;
  std::unique_ptr<FILE, int (*)(FILE*)> file_;
};

}  // namespace veomni
