// Images, tables and other data files, and JSON texts with places.
#include "core/checkpoint/file_io.h"
#include "core/data/image_codec.h"
#include "core/data/source.h"
#include "core/error.h"
#include "fuzz/targets.h"
#include "support/made_files.h"
#include "test/core/data_test_tools.h"

namespace veomni::fuzz {
namespace fs = std::filesystem;
using namespace veomni::data_test;
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

Target source_target(const fs::path& folder, const std::string& format,
                     std::vector<std::string> sound, std::vector<std::string> fields,
                     std::vector<std::string> words) {
  const auto file = folder / ("data." + format);
  return {format,
          std::move(sound),
          [=](const std::string& bytes) {
            write_bytes(file, bytes);
            const auto opened = open_source(source("fuzzed", format, file.string()), fields);
            Record record;
            for (int64_t i = 0; i < std::min<int64_t>(opened->size(), 100); ++i)
              opened->read(i, record);
          },
          {},
          std::move(words)};
}

Target located_json_target(const fs::path& folder) {
  const auto file = (folder / "recipe.json").string();
  return {"json",
          {"{\"a\": [1, 2.5, true, null], // note\n \"é/~\": {\"b\": \"c\\u00e9\"}}\n"},
          [=](const std::string& bytes) { (void)parse_located_json(bytes, file); },
          {},
          {"//", "/*", "\n", "\\u", "\\", "\xff", "\xef\xbb\xbf", ",]", "{\"a\":", "[[[["}};
}

}  // namespace

std::vector<Target> data_targets(const fs::path& folder) {
  auto pngs =
      image_target(folder, "png",
                   {png(2, 2, 8, 0, std::string("\0ab\0cd", 6)),
                    png(1, 2, 8, 6, std::string("\0abcd\1efgh", 10)),
                    png(9, 2, 1, 0, std::string("\0ab\0cd", 6)), png(2, 1, 16, 2, "\2abcdefghijkl"),
                    png(4, 1, 2, 3, std::string("\0a", 2), png_chunk("PLTE", "aaabbbccc"))});
  pngs.repair = repair_png;
  return {std::move(pngs),
          image_target(folder, "jpeg", {tiny_jpeg()}),
          source_target(folder, "idx", {idx({2, 1, 2}, "abcd"), idx({1, 2, 2, 3}, "abcdefghijkl")},
                        {"image"}, {}),
          source_target(folder, "csv", {"x,y\n1,2\n\"a,\"\"b\",\r\n", "x,y\n,\n"}, {"x", "y"},
                        {"\"", "\n", "\r\n", ",", "\"\""}),
          source_target(folder, "jsonl",
                        {"{\"x\": [1, 2], \"y\": \"a\"}\n\n{\"x\": 1.5, \"y\": null}\n"},
                        {"x", "y"}, {"[[[[", "\\ud800", "\n", "{", "\xff"}),
          located_json_target(folder)};
}

}  // namespace veomni::fuzz
