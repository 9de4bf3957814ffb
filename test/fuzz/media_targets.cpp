// Sounds, images, manifests that name them, and packed files.
#include "core/data/file_bytes.h"
#include "core/data/image_codec.h"
#include "core/data/sound.h"
#include "core/data/source.h"
#include "core/error.h"
#include "fuzz/targets.h"
#include "support/made_files.h"
#include "test/core/data_test_tools.h"

namespace veomni::fuzz {
namespace fs = std::filesystem;
using namespace veomni::data_test;
using namespace veomni::made;
namespace {

/// The checksums of all chunks are right again.
void repair_png(std::string& bytes) {
  for (size_t at = 8; at + 12 <= bytes.size();) {
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<uint8_t>(bytes[at + i]);
    if (length > bytes.size() - at - 12) return;
    bytes.replace(at + 8 + length, 4, big32(data_test::crc32(bytes.substr(at + 4, length + 4))));
    at += length + 12;
  }
}

Target image_target(const fs::path& folder, const std::string& name,
                    std::vector<std::string> sound) {
  const auto file = folder / ("image." + name);
  return {name, std::move(sound), [=](const std::string& bytes) {
            const Image image = decode_image(bytes, file.string());
            const auto expected = static_cast<size_t>(image.height * image.width * image.channels);
            if (image.pixels.size() != expected) throw Error("pixels are missing");
          }};
}

Target png_target(const fs::path& folder) {
  auto target =
      image_target(folder, "png",
                   {png(2, 2, 8, 0, std::string("\0ab\0cd", 6)),
                    png(1, 2, 8, 6, std::string("\0abcd\1efgh", 10)),
                    png(9, 2, 1, 0, std::string("\0ab\0cd", 6)), png(2, 1, 16, 2, "\2abcdefghijkl"),
                    png(4, 1, 2, 3, std::string("\0a", 2), png_chunk("PLTE", "aaabbbccc"))});
  target.repair = repair_png;
  return target;
}

Target wav_target(const fs::path& folder) {
  const auto file = (folder / "sound.wav").string();
  return {
      "wav",
      {wave(1, 2, 16, "abcdefgh"), wave(1, 1, 8, "abcd"), wave(1, 1, 24, "abcdef", 16000),
       wave(3, 1, 32, little_endian(0x3f000000, 4) + little_endian(0xbf000000, 4), 44100),
       wave(3, 2, 64, little_endian(0x3fe0000000000000, 8) + little_endian(0, 8))},
      [=](const std::string& bytes) {
        const Sound sound = decode_wav(bytes, file);
        for (const float sample : sound.samples)
          if (!std::isfinite(sample)) throw Error("a sample is not finite");
        const size_t expected =
            (sound.samples.size() * kSpeechRate + static_cast<size_t>(sound.rate) - 1) /
            static_cast<size_t>(sound.rate);
        if (sound.samples.size() < 16 && resample(sound, kSpeechRate).samples.size() != expected)
          throw Error("samples are missing");
      },
      {},
      {"data", "fmt ", "LIST", "RIFF", "WAVE", std::string("\xfe\xff", 2), "\xff\xff\xff\xff"}};
}

/// A manifest beside one sound and one image.
Target manifest_target(const fs::path& folder) {
  const auto home = folder / "media";
  fs::create_directories(home);
  write_bytes(home / "a.wav", wave(1, 1, 16, "abcd"));
  write_bytes(home / "b.png", png(2, 2, 8, 0, std::string("\0ab\0cd", 6)));
  const auto file = home / "media.jsonl";
  return {"media",
          {"{\"image\":\"b.png\",\"audio\":\"a.wav\",\"text\":\"c\"}\n"
           "{\"image\":[\"b.png\",\"b.png\"],\"audio\":null,\"text\":\"\"}\n"},
          [=](const std::string& bytes) {
            write_bytes(file, bytes);
            const auto opened =
                open_source(source("media", "media", file.string()), {"image", "audio", "text"});
            Record record;
            for (int64_t i = 0; i < std::min<int64_t>(opened->size(), 10); ++i)
              opened->read(i, record);
          },
          {},
          {"\"image\":", "\"audio\":", "\"b.png\"", "\"a.wav\"", "\"/\"", "\"..\"", "\"\"", "[",
           "]", "\\u0000", "\\n", "\xff", "\n"}};
}

/// The checksum of a member that is stored, not deflated, is right again.
void repair_gzip(std::string& bytes) {
  constexpr size_t kHead = 10, kStored = 5, kTail = 8;
  if (bytes.size() < kHead + kStored + kTail) return;
  const std::string data = bytes.substr(kHead + kStored, bytes.size() - kHead - kStored - kTail);
  bytes.replace(bytes.size() - kTail, 4, little_endian(data_test::crc32(data), 4));
}

Target gzip_target(const fs::path& folder) {
  const auto file = folder / "packed.gz";
  return {"gzip",
          {gzip("abc"), gzip("abcdefgh") + gzip("") + gzip("x"), gzip("a") + std::string(3, '\0')},
          [=](const std::string& bytes) {
            write_bytes(file, bytes);
            (void)read_file_bytes(file.string());
          },
          repair_gzip,
          {gzip("d"), std::string("\x1f\x8b\x08", 3), std::string("\x1f\x8b\x08\x1c", 4)}};
}

}  // namespace

std::vector<Target> media_targets(const fs::path& folder) {
  return {png_target(folder), image_target(folder, "jpeg", {tiny_jpeg()}), wav_target(folder),
          manifest_target(folder), gzip_target(folder)};
}

}  // namespace veomni::fuzz
