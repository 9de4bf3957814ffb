// Damaged checkpoints: each is refused in one line that names the file and the place.
#include <catch2/catch.hpp>
#include <cstring>
#include <functional>
#include <numeric>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/file_io.h"
#include "core/checkpoint/safetensors.h"
#include "core/error.h"
#include "test/core/checkpoint_files.h"

using namespace veomni;
using namespace veomni_test;
namespace fs = std::filesystem;

namespace {

constexpr const char* kShard = "shard-00000.safetensors";
constexpr const char* kSecond = "shard-00001.safetensors";
constexpr const char* kManifest = "manifest.json";

void write_sound(const fs::path& checkpoints) {
  std::vector<float> w(32), m(32);
  std::iota(w.begin(), w.end(), 0.0f);
  for (int rank : {0, 1}) {
    const int64_t begin = rank * 16, end = begin + 16;
    write_checkpoint_shard(
        checkpoints, 7, rank,
        {{.name = "w", .shape = {8, 4}, .begin = begin, .end = end, .data = w.data() + begin},
         {.name = "optimizer.exp_avg.w",
          .shape = {8, 4},
          .begin = begin,
          .end = end,
          .data = m.data() + begin}});
  }
  finish_checkpoint(checkpoints, 7, 2, {{"step", 7}, {"cursors", {1, 2, 3}}}, 1);
}

void replace(std::string& text, const std::string& from, const std::string& to) {
  const auto place = text.find(from);
  REQUIRE(place != std::string::npos);
  text.replace(place, from.size(), to);
}

/// The manifest with `from` replaced and its checksum made right again: a wrong manifest, not a
/// damaged one.
std::function<void(const fs::path&)> forged(const std::string& from, const std::string& to) {
  return [=](const fs::path& directory) {
    auto text = slurp(directory / kManifest);
    replace(text, from, to);
    const auto tail = text.rfind(",\n\"checksum\"");
    const auto body = text.substr(0, tail);
    spit(directory / kManifest,
         body + ",\n\"checksum\": \"" + checksum_of(body.data(), body.size()) + "\"\n}\n");
  };
}

std::function<void(const fs::path&)> flipped(const std::string& file,
                                             std::function<size_t(const std::string&)> place) {
  return [=](const fs::path& directory) {
    auto bytes = slurp(directory / file);
    bytes.at(place(bytes)) ^= 0x04;
    spit(directory / file, bytes);
  };
}

std::function<void(const fs::path&)> truncated(const std::string& file, double share) {
  return [=](const fs::path& directory) {
    const auto bytes = slurp(directory / file);
    spit(directory / file,
         bytes.substr(0, static_cast<size_t>(share * static_cast<double>(bytes.size()))));
  };
}

std::function<void(const fs::path&)> overwritten(const std::string& file,
                                                 const std::string& bytes) {
  return [=](const fs::path& directory) { spit(directory / file, bytes); };
}

struct Damage {
  std::string name;
  std::function<void(const fs::path&)> apply;
  std::string file;      ///< that the message names
  std::string expected;  ///< part of the message
};

std::vector<Damage> shard_damages() {
  std::vector<Damage> rows;
  for (const double share : {0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999}) {
    rows.push_back({"shard truncated", truncated(kShard, share), kShard, "byte "});
  }
  for (const size_t place : {0u, 1u, 5u, 7u, 8u, 9u, 40u, 100u, 200u}) {
    rows.push_back({"shard header flipped",
                    flipped(kShard, [=](const std::string&) { return place; }), kShard, "byte "});
  }
  for (const size_t from_end : {1u, 64u, 128u}) {
    rows.push_back({"data flipped",
                    flipped(kSecond, [=](const std::string& b) { return b.size() - from_end; }),
                    kSecond, "is damaged (checksum)"});
  }
  rows.push_back(
      {"shard missing", [](const fs::path& d) { fs::remove(d / kShard); }, kShard, "is missing"});
  rows.push_back({"shard is a directory",
                  [](const fs::path& d) {
                    fs::remove(d / kShard);
                    fs::create_directory(d / kShard);
                  },
                  kShard, "not a regular file"});
  rows.push_back({"shards exchanged",
                  [](const fs::path& d) {
                    fs::rename(d / kShard, d / "t");
                    fs::rename(d / kSecond, d / kShard);
                    fs::rename(d / "t", d / kSecond);
                  },
                  kShard, "but the manifest says"});
  rows.push_back({"shard longer",
                  [](const fs::path& d) { spit(d / kShard, slurp(d / kShard) + "x"); }, kShard,
                  "after the last tensor"});
  rows.push_back({"huge header length", overwritten(kShard, std::string(7, '\xff') + "\x7f{}"),
                  kShard, "exceeds the format's limit"});
  return rows;
}

std::vector<Damage> manifest_damages() {
  std::vector<Damage> rows;
  for (const double share : {0.0, 0.001, 0.2, 0.5, 0.8, 0.99}) {
    rows.push_back({"manifest truncated", truncated(kManifest, share), kManifest, "byte "});
  }
  rows.push_back({"manifest missing", [](const fs::path& d) { fs::remove(d / kManifest); },
                  "step-00000007", "is not a checkpoint"});
  rows.push_back({"not JSON", overwritten(kManifest, "hello"), kManifest,
                  "byte 0: the manifest is not valid JSON"});
  rows.push_back(
      {"binary", overwritten(kManifest, std::string(300, '\0')), kManifest, "not valid JSON"});
  rows.push_back({"other JSON", overwritten(kManifest, "[1,2]"), kManifest, "'format' is missing"});
  rows.push_back({"empty object", overwritten(kManifest, "{}"), kManifest, "'format' is missing"});
  rows.push_back(
      {"number out of range", overwritten(kManifest, "[1e999]"), kManifest, "out of range"});
  const std::vector<std::array<std::string, 3>> forgeries{
      {"\"version\": 1", "\"version\": 2", "version: is 2, but this program reads 1"},
      {"\"version\": 1", "\"version\": \"1\"", "version: must be an integer"},
      {"veomni checkpoint", "other checkpoint", "format: must be 'veomni checkpoint'"},
      {"\"step\": 7", "\"step\": -7", "step: must be an integer"},
      {"\"step\": 7", "\"step\": 7.5", "step: must be an integer"},
      {"\"shards\": [", "\"shards\": [3,", "shards[0]: 'file' is missing"},
      {"shard-00000.safetensors", "../other.safetensors", "is not a file of this checkpoint"},
      {"shard-00000.safetensors", "/etc/passwd", "is not a file of this checkpoint"},
      {"shard-00000.safetensors", "shard-00009.safetensors", "shard-00009.safetensors: is missing"},
      {"\"bytes\":", "\"bytes\":1", "but the manifest says 1"},
      {"\"bytes\":", "\"bytes\":-", "bytes: must be an integer"},
      {"\"dtype\":\"F32\"", "\"dtype\":\"F64\"", "has another dtype or length"},
      {"\"dtype\":\"F32\"", "\"dtype\":\"X\"", "dtype: \"X\" is unknown"},
      {"\"shape\":[8,4]", "\"shape\":[8,5]", "elements [32, 40) are missing"},
      {"\"shape\":[8,4]", "\"shape\":[8,3]", "elements [24, 32) are beyond its end"},
      {"\"shape\":[8,4]", "\"shape\":[4611686018427387904,4]",
       "shape [4611686018427387904, 4] is impossible"},
      {"\"shape\":[8,4]", "\"shape\":8", "shape: must be a list"},
      {"[0,0,16,", "[2,0,16,", "there are 2 shards"},
      {"[0,0,16,", "[0,16,0,", "begins after its end"},
      {"[0,0,16,", "[0,0,17,", "elements [16, 17) are stored twice"},
      {"[0,0,16,", "[0,0,15,", "elements [15, 16) are missing"},
      {"[0,0,16,", "[1,0,16,", "has no tensor \"optimizer.exp_avg.w[0:16]\""},
      {"[0,0,16,", "[0,0,16,5,", "must be [shard, begin, end, checksum]"},
      {"\"name\":\"w\"", "\"name\":\"optimizer.exp_avg.w\"", "occurs twice"},
      {"\"name\":\"w\"", "\"name\":\"v\"", "has no tensor \"v[0:16]\""},
      {"\"name\":\"w\"", "\"nome\":\"w\"", "'name' is missing"},
      {"\"state\"", "\"State\"", "'state' is missing"}};
  for (const auto& [from, to, expected] : forgeries) {
    const bool other_file = expected.find("shard-") == 0 || expected.find("has no tensor") == 0 ||
                            expected.find("has another") == 0 ||
                            expected.find("but the manifest") == 0;
    rows.push_back(
        {from + " -> " + to, forged(from, to), other_file ? "shard-0000" : kManifest, expected});
  }
  return rows;
}

}  // namespace

TEST_CASE("checkpoint: every kind of damage is refused in one line", "[core][checkpoint]") {
  TemporaryDirectory directory(fast_directory());
  auto rows = shard_damages();
  for (auto& row : manifest_damages()) rows.push_back(std::move(row));
  REQUIRE(rows.size() >= 40);
  write_sound(directory / "sound");
  const auto sound = directory / "sound" / "step-00000007";
  REQUIRE_NOTHROW(Checkpoint(sound).verify());
  const auto damaged = directory / "step-00000007";
  for (const auto& row : rows) {
    fs::remove_all(damaged);
    fs::copy(sound, damaged);
    row.apply(damaged);
    const auto message = message_of<ConfigError>([&] { Checkpoint(damaged).verify(); });
    INFO(row.name << ": " << message);
    CHECK_THAT(message, Catch::Matchers::StartsWith(damaged.string()));
    CHECK_THAT(message,
               Catch::Matchers::Contains(row.file) && Catch::Matchers::Contains(row.expected));
    CHECK(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("checkpoint: no flipped bit of a manifest goes unnoticed", "[core][checkpoint]") {
  TemporaryDirectory directory(fast_directory());
  write_sound(directory.path());
  const auto damaged = directory / "step-00000007";
  const auto bytes = slurp(damaged / kManifest);
  for (size_t place = 0; place < bytes.size(); ++place) {
    auto wrong = bytes;
    wrong[place] = static_cast<char>(wrong[place] ^ (1 << (place % 8)));
    spit(damaged / kManifest, wrong);
    const auto message = message_of<ConfigError>([&] { Checkpoint{damaged}; });
    INFO("byte " << place << ": " << message);
    REQUIRE_THAT(message, Catch::Matchers::StartsWith(damaged.string()));
    REQUIRE(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("checkpoint: damaged data is noticed by the read that touches it", "[core][checkpoint]") {
  TemporaryDirectory directory(fast_directory());
  write_sound(directory.path());
  const auto path = directory / "step-00000007" / kSecond;
  auto bytes = slurp(path);
  const SafetensorsFile file(path);
  bytes.at(file.offset(file.get("w[16:32]"))) ^= 0x01;
  spit(path, bytes);
  const Checkpoint checkpoint(directory / "step-00000007");
  std::vector<float> out(32);
  TensorRange range{.name = "w", .shape = {8, 4}, .begin = 0, .end = 16, .data = out.data()};
  CHECK_NOTHROW(checkpoint.read(range));
  range.end = 17;
  CHECK_THAT(message_of<ConfigError>([&] { checkpoint.read(range); }),
             Catch::Matchers::Contains("w[16:32]\" is damaged"));
}
