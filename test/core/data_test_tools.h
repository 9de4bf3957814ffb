#pragma once
// What the tests of core/data share: temporary files, gzip and PNG made by hand, recipes.

#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/data/sample.h"
#include "core/error.h"
#include "core/recipe/chat_config.h"
#include "modalities/encoders/features_preprocess_spec.h"
#include "modalities/encoders/image_preprocess_spec.h"
#include "support/paths.h"

namespace veomni::data_test {

/// A folder of its own, removed at the end.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "veomni-data-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() { std::filesystem::remove_all(path_); }

  std::string path(const std::string& name) const { return (path_ / name).string(); }
  std::string write(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path(name);
  }

 private:
  std::filesystem::path path_;
};

inline std::string big32(uint32_t n) {
  return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8),
          static_cast<char>(n)};
}
inline std::string little(uint32_t n, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(n >> (8 * i));
  return text;
}

inline uint32_t crc32(const std::string& bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int k = 0; k < 8; ++k) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
  }
  return ~crc;
}

/// Deflate without compression (RFC 1951, stored blocks).
inline std::string stored(const std::string& bytes) {
  std::string out;
  for (size_t at = 0; at == 0 || at < bytes.size(); at += 65535) {
    const std::string part = bytes.substr(at, 65535);
    const auto length = static_cast<uint32_t>(part.size());
    out += static_cast<char>(at + 65535 >= bytes.size() ? 1 : 0);
    out += little(length, 2) + little(~length, 2) + part;
  }
  return out;
}

/// One gzip member (RFC 1952).
inline std::string gzip(const std::string& bytes) {
  return std::string("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", 10) + stored(bytes) +
         little(crc32(bytes), 4) + little(static_cast<uint32_t>(bytes.size()), 4);
}

inline std::string png_chunk(const std::string& type, const std::string& data) {
  return big32(static_cast<uint32_t>(data.size())) + type + data + big32(crc32(type + data));
}

/// A PNG from raw scanlines (each with its filter byte); `before` holds chunks before the data.
inline std::string png(uint32_t width, uint32_t height, int depth, int colour,
                       const std::string& scanlines, const std::string& before = "") {
  uint32_t a = 1, b = 0;
  for (const char c : scanlines) a = (a + static_cast<uint8_t>(c)) % 65521, b = (b + a) % 65521;
  const std::string header = big32(width) + big32(height) + static_cast<char>(depth) +
                             static_cast<char>(colour) + std::string(3, '\0');
  return std::string("\x89PNG\r\n\x1a\n", 8) + png_chunk("IHDR", header) + before +
         png_chunk("IDAT", "\x78\x01" + stored(scanlines) + big32(b << 16 | a)) +
         png_chunk("IEND", "");
}

inline std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

/// 8 × 8 pixels of (200, 40, 90), 4:2:0, made with libjpeg at quality 100.
inline std::string tiny_jpeg() {
  std::string table;
  for (int i = 0; i < 64; ++i) table += "01";
  return from_hex(
      "ffd8ffdb004300" + table + "ffdb004301" + table +
      "ffc00011080008000803012200021101031101ffc4001500010100000000000000000000000000000009ffc4"
      "0014100100000000000000000000000000000000ffc400150101010000000000000000000000000000050aff"
      "c40014110100000000000000000000000000000000ffda000c03010002110311003f009de00f5303ffd9");
}

inline std::string idx(const std::vector<uint32_t>& shape, const std::string& data) {
  std::string bytes = std::string("\0\0\x08", 3) + static_cast<char>(shape.size());
  for (const uint32_t extent : shape) bytes += big32(extent);
  return bytes + data;
}

inline SpecRegistry make_registry() {
  SpecRegistry registry;
  PartSpec image{.type = "image", .doc = "", .keys = image_preprocess_keys()};
  image.make_preprocessor = [](const PartConfig& config, const Json&) {
    return make_image_preprocessor(config);
  };
  registry.add(SpecRegistry::Kind::encoder, image);
  PartSpec features{.type = "features", .doc = "", .keys = features_preprocess_keys()};
  features.make_preprocessor = make_features_preprocessor;
  registry.add(SpecRegistry::Kind::encoder, features);
  PartSpec binary{.type = "binary", .doc = "", .keys = {}};
  binary.label_error = [](const PartConfig&, double y) {
    return y == 0 || y == 1 ? std::nullopt : std::optional<std::string>("must be 0 or 1");
  };
  registry.add(SpecRegistry::Kind::head, binary);
  PartSpec classes{.type = "classification", .doc = "", .keys = {}};
  classes.label_error = [](const PartConfig& config, double y) {
    const bool ok = y >= 0 && y < config.keys.at("classes").get<double>() && y == std::floor(y);
    return ok ? std::nullopt : std::optional<std::string>("must be a class");
  };
  registry.add(SpecRegistry::Kind::head, classes);
  registry.add(SpecRegistry::Kind::head, {.type = "regression", .doc = "", .keys = {}});
  return registry;
}
inline const SpecRegistry& registry() {
  static const SpecRegistry made = make_registry();
  return made;
}

inline SourceConfig source(const std::string& name, const std::string& format,
                           const std::string& path, const Json& keys = Json::object()) {
  SourceConfig config;
  config.name = name, config.format = format, config.paths = {path}, config.keys = keys;
  return config;
}

inline SegmentConfig segment(const std::string& part, const std::string& field = "",
                             bool learn = false) {
  return {part, field, learn};
}

/// A source of conversations with the defaults that a recipe's reader fills in.
inline SourceConfig chat_source(const std::string& format, const std::string& path) {
  Json keys{{"columns", {{"tools", "tools"}, {"system", "system"}}}};
  if (format == "alpaca")
    keys["columns"] = {{"prompt", "instruction"},
                       {"query", "input"},
                       {"response", "output"},
                       {"system", "system"},
                       {"history", "history"}};
  if (format == "sharegpt")
    keys["tags"] = {{"role_tag", "from"},
                    {"content_tag", "value"},
                    {"user_tag", "human"},
                    {"assistant_tag", "gpt"},
                    {"observation_tag", "observation"},
                    {"function_tag", "function_call"},
                    {"system_tag", "system"}};
  SourceConfig made = source("chat", format, path, keys);
  const char* messages = format == "sharegpt" ? "conversations" : "messages";
  made.keys["sample"] = {{{"part", "text"},
                          {"messages", messages},
                          {"template", "tokenizer"},
                          {"learn", {"assistant"}}}};
  made.sample = {segment("text", kConversation, true)};
  return made;
}

inline Recipe recipe(int64_t packs, int64_t pack_tokens) {
  Recipe made;
  made.seed = 7;
  made.train.packs = packs, made.train.pack_tokens = pack_tokens, made.train.workers = 0;
  return made;
}

inline std::unique_ptr<Dataset> open(const Recipe& made, const Json& state = nullptr) {
  return open_dataset(made, state, registry());
}

/// The message of the ConfigError that `action` throws; "" when it throws none.
template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

/// The folder of real data beside the clone; "" with a note when it is absent.
inline std::string real_data(const std::string& file) {
  const std::string path = veomni::test::source_dir() + "/../shared/data/" + file;
  if (std::filesystem::exists(path)) return path;
  WARN("skipped: " << path << " is not there");
  return "";
}

}  // namespace veomni::data_test
