#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/data/sound.h"
#include "core/data/text.h"
#include "core/error.h"

namespace veomni {
namespace {

constexpr uint16_t kPcm = 1, kFloat = 3, kExtensible = 0xFFFE;

template <class T>
T read_at(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

struct Format {
  uint16_t code = 0, channels = 0, bits = 0;
  uint32_t rate = 0;
};

Format read_format(std::string_view chunk, const std::string& path) {
  require<ConfigError>(chunk.size() >= 16,
                       "{}: its fmt chunk has {} bytes, not 16; convert it again", path,
                       chunk.size());
  Format format{read_at<uint16_t>(chunk, 0), read_at<uint16_t>(chunk, 2),
                read_at<uint16_t>(chunk, 14), read_at<uint32_t>(chunk, 4)};
  if (format.code == kExtensible && chunk.size() >= 26) format.code = read_at<uint16_t>(chunk, 24);
  const bool whole = format.code == kPcm && (format.bits == 8 || format.bits == 16 ||
                                             format.bits == 24 || format.bits == 32);
  const bool real = format.code == kFloat && (format.bits == 32 || format.bits == 64);
  require<ConfigError>(whole || real,
                       "{}: WAVE format {} of {} bits is not supported; convert it to 16-bit PCM",
                       path, format.code, format.bits);
  require<ConfigError>(
      format.channels > 0 && format.rate >= kMinSampleRate && format.rate <= kMaxSampleRate,
      "{}: claims {} channels at {} Hz; give at least one, at {} to {} Hz", path, format.channels,
      format.rate, kMinSampleRate, kMaxSampleRate);
  return format;
}

float read_sample(const char* at, const Format& format) {
  const auto load = [&](auto value) {
    std::memcpy(&value, at, sizeof(value));
    return value;
  };
  if (format.code == kFloat)
    return format.bits == 32 ? load(float{}) : static_cast<float>(load(double{}));
  switch (format.bits) {
    case 8:
      return (static_cast<float>(load(uint8_t{})) - 128.0F) / 128.0F;
    case 16:
      return static_cast<float>(load(int16_t{})) / 32768.0F;
    case 24: {
      int32_t value = 0;
      std::memcpy(reinterpret_cast<char*>(&value) + 1, at, 3);
      return static_cast<float>(static_cast<double>(value) / 2147483648.0);
    }
    default:
      return static_cast<float>(static_cast<double>(load(int32_t{})) / 2147483648.0);
  }
}

Sound read_samples(std::string_view data, const Format& format, const std::string& path) {
  const size_t width = format.bits / 8U, frame = width * format.channels;
  Sound sound{static_cast<int64_t>(format.rate), std::vector<float>(data.size() / frame)};
  for (size_t i = 0; i < sound.samples.size(); ++i) {
    float sum = 0;
    for (size_t c = 0; c < format.channels; ++c)
      sum += read_sample(data.data() + i * frame + c * width, format);
    sound.samples[i] = sum / static_cast<float>(format.channels);
    require<ConfigError>(std::isfinite(sound.samples[i]), "{}: sample {} is not a finite number",
                         path, i);
  }
  return sound;
}

}  // namespace

Sound decode_wav(std::string_view bytes, const std::string& path) {
  require<ConfigError>(
      bytes.size() >= 12 && bytes.substr(0, 4) == "RIFF" && bytes.substr(8, 4) == "WAVE",
      "{}: is no WAV file; convert it, for example with ffmpeg -i IN OUT.wav", path);
  Format format;
  for (size_t at = 12; at + 8 <= bytes.size();) {
    const auto name = bytes.substr(at, 4);
    size_t size = read_at<uint32_t>(bytes, at + 4);
    const size_t left = bytes.size() - at - 8;
    // A program that writes to a pipe cannot fill in the length: the data is what follows.
    if (name == "data" && size == 0xFFFFFFFF) size = left;
    require<ConfigError>(
        size <= left, "{}: chunk '{}' at byte {} claims {} bytes, but {} follow; the file is cut",
        path, shown(name), at, size, left);
    const auto chunk = bytes.substr(at + 8, size);
    if (name == "fmt ") format = read_format(chunk, path);
    if (name == "data") {
      require<ConfigError>(format.code != 0,
                           "{}: its data comes before its format; convert it again", path);
      return read_samples(chunk, format, path);
    }
    at += 8 + size + size % 2;
  }
  throw ConfigError(fmt::format("{}: has no data chunk; the file is cut", path));
}

}  // namespace veomni
