// Damaged weights and indices: each is refused in one line that names the file and the byte.
#include "core/error.h"
#include "core/hugging_face/weights.h"
#include "support/made_files.h"
#include "test/core/checkpoint_files.h"
#include "test/core/damage.h"

using namespace veomni;
using namespace veomni::made;
using namespace veomni_test;
namespace fs = std::filesystem;

namespace {

const std::string kIndex = R"({"metadata": {"total_size": 20}, "weight_map": {
 "a": "one.safetensors", "b": "two.safetensors", "c": "two.safetensors"}})";

const std::vector<Row> kIndexRows{
    {"{", "", "byte 10: the index is not valid JSON"},
    {"}}", "}", "byte 121: the index is not valid JSON"},
    {"}}", "}} {}", "byte 123: the index is not valid JSON"},
    {"\"weight_map\"", "\"weights\"", "has no object 'weight_map'"},
    {R"("weight_map": {)", R"("weight_map": [], "x": {)", "has no object 'weight_map'"},
    {R"("weight_map": {)", R"("weight_map": null, "x": {)", "has no object 'weight_map'"},
    {R"("weight_map": {)", R"("weight_map": {}, "x": {)", "has no object 'weight_map'"},
    {R"("a": "one.safetensors")", R"("a": 1)", "weight_map.a: must be a file name"},
    {R"("a": "one.safetensors")", R"("a": ["one.safetensors"])", "weight_map.a: must be a file"},
    {R"("a": "one.safetensors")", R"("a": "")", "weight_map.a: '' must be a file beside"},
    {R"("a": "one.safetensors")", R"("a": "/etc/passwd")", "weight_map.a: '/etc/passwd' must be"},
    {R"("a": "one.safetensors")", R"("a": "../m/one.safetensors")", "must be a file beside"},
    {R"("a": "one.safetensors")", R"("a": "x/one.safetensors")", "must be a file beside"},
    {R"("a": "one.safetensors")", R"("a": "..")", "not a regular file"},
    {R"("a": "one.safetensors")", R"("a": "one.safe\u0000tensors")", "must be a file beside"},
    {R"("a": "one.safetensors")", R"("a": "one.safe\ntensors")", "must be a file beside"},
    {R"("a": "one.safetensors")", R"("a": "gone.safetensors")", "gone.safetensors is not there"},
    {R"("a": "one.safetensors")", R"("a": "config.json")", "config.json: byte"},
    {R"("a": "one.safetensors")", R"("a": "two.safetensors")", "has no tensor \"a\""},
    {R"("a": "one.safetensors")", R"("d": "one.safetensors")", "has no tensor \"d\""},
    {R"("b": "two)", R"("a": "two)", "byte 74: key \"a\" occurs twice"},
    {R"("total_size": 20)", R"("total_size": 1e999)", "byte 28: the index holds a number out"},
    {R"("total_size": 20)",
     R"("total_size": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[)",
     "nested deeper than"},
    {"\"a\"", "\"\xc3\"", "byte 52: the index is not valid JSON"}};

const std::string kOne = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
const std::string kTwo =
    R"({"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"c":{"dtype":"BF16","shape":[1,2],"data_offsets":[8,12]}})";

/// Damage to the header of the file that holds b and c in its 12 bytes of data.
const std::vector<Row> kHeaderRows{
    {"[8,12]", "[7,11]", "byte 126: tensor \"c\" overlaps another"},
    {"[8,12]", "[0,4]", "overlaps another"},
    {"[8,12]", "[9,13]", "ends at byte"},
    {"[8,12]", "[8,13]", "BF16 of 2 elements does not fill its 5 bytes"},
    {"[8,12]", "[12,8]", "'data_offsets' must be [begin, end]"},
    {"[8,12]", "[8]", "'data_offsets' must be [begin, end]"},
    {"[8,12]", "[-8,12]", "'data_offsets' holds \"-8\""},
    {"[8,12]", "[8,18446744073709551615]", "'data_offsets' holds"},
    {"[8,12]", "[4611686018427387900,4611686018427387904]", "ends at byte 4611686018427388058"},
    {"[8,12]", "\"8,12\"", "'data_offsets' must be a list"},
    {"[1,2]", "[1,3]", "BF16 of 3 elements does not fill its 4 bytes"},
    {"[1,2]", "[]", "BF16 of 1 elements does not fill its 4 bytes"},
    {"[1,2]", "[0,2]", "BF16 of 0 elements does not fill its 4 bytes"},
    {"[1,2]", "[4611686018427387904,2]", "more than 2^62 elements"},
    {"[1,2]", "[4294967296,4294967296]", "more than 2^62 elements"},
    {"[1,2]", "[[1,2]]", "nested deeper than 3"},
    {"[1,2]", "[true,2]", "'shape' holds \"true\""},
    {"[1,2]", "[1,2.0]", "'shape' holds \"2.0\""},
    {"\"BF16\"", "\"F32\"", "F32 of 2 elements does not fill its 4 bytes"},
    {"\"BF16\"", "\"bf16\"", "dtype \"bf16\" is unknown"},
    {"\"BF16\"", "\"F8_E8M0\"", "dtype \"F8_E8M0\" is unknown"},
    {"\"BF16\"", "16", "'dtype' must be a string"},
    {"\"c\"", "\"b\"", "byte 62: key \"b\" occurs twice"},
    {"\"c\"", "\"\\u0062\"", "key \"b\" occurs twice"},
    {"\"c\"", "\"__metadata__\"", "'__metadata__' must map names to strings"},
    {"\"dtype\":\"BF16\"", "\"dtype\":\"BF16\",\"dtype\":\"BF16\"", "key \"dtype\" occurs twice"},
    {"\"dtype\":\"BF16\",", "", "tensor \"c\": 'dtype' is missing"},
    {"\"shape\":[1,2],", "", "tensor \"c\": 'shape' is missing"},
    {",\"c\"", ",,\"c\"", "byte 62: the header is not valid JSON"},
    {"}}", "}}x", "byte 119: the header is not valid JSON"}};

struct File {
  std::string bytes, expected;
};

std::vector<File> cut_files() {
  std::vector<File> files;
  const std::string sound = safetensors(kTwo, "0123456789ab");
  for (const size_t length : {0u, 1u, 7u, 8u, 9u, 60u, 118u, 119u, 126u, 130u})
    files.push_back({sound.substr(0, length), fmt::format("byte {}: ", length)});
  files.push_back({sound + std::string(4, '\0'), "4 bytes after the last tensor"});
  files.push_back({std::string("PK\x03\x04") + sound, "exceeds the format's limit"});
  files.push_back({"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
                   "byte 0: header length"});
  files.push_back({"<!doctype html><html>Not Found</html>", "byte 0: header length"});
  files.push_back({little_endian(100'000'001, 8) + "{}", "exceeds the format's limit"});
  files.push_back({little_endian(99'000'000, 8) + "{}", "ends within its header of 99000000"});
  return files;
}

}  // namespace

TEST_CASE("damage: an index of weights is refused", "[core][hugging_face][damage]") {
  const TemporaryDirectory folder(fast_directory());
  const auto line = [&](const std::string& index) {
    spit(folder / "model.safetensors.index.json", index);
    return message_of<ConfigError>([&] { HuggingFaceWeights{folder.path()}; });
  };
  spit(folder / "one.safetensors", safetensors(kOne, "01234567"));
  spit(folder / "two.safetensors", safetensors(kTwo, "0123456789ab"));
  spit(folder / "config.json", "not weights");
  CHECK(line(kIndex) == "(no exception)");
  CHECK(HuggingFaceWeights(folder.path()).names() == std::vector<std::string>{"a", "b", "c"});
  CHECK(HuggingFaceWeights(folder.path()).bytes() == 20);
  for (const Row& row : kIndexRows) {
    INFO(row.from << " → " << row.to);
    check_line(line(changed(kIndex, row)), folder.path(), row.expected);
  }
  fs::remove(folder / "two.safetensors");
  check_line(line(kIndex), folder.path(), "weight_map.b: " + (folder / "two.safetensors").string());
  fs::create_directory(folder / "two.safetensors");
  check_line(line(kIndex), folder.path(), "not a regular file");
}

TEST_CASE("damage: an index may have a million names", "[core][hugging_face][damage]") {
  const TemporaryDirectory folder(fast_directory());
  std::string header = "{", map = "{\"weight_map\":{";
  constexpr int kCount = 30000;  // Qwen3-235B-A22B has 36,000
  for (int i = 0; i < kCount; ++i) {
    const char* comma = i == 0 ? "" : ",";
    header += fmt::format(R"({}"e{}":{{"dtype":"U8","shape":[1],"data_offsets":[{},{}]}})", comma,
                          i, i, i + 1);
    map += fmt::format(R"({}"e{}":"one.safetensors")", comma, i);
  }
  spit(folder / "one.safetensors", safetensors(header + "}", std::string(kCount, 'x')));
  spit(folder / "model.safetensors.index.json", map + "}}");
  CHECK(HuggingFaceWeights(folder.path()).bytes() == kCount);
}

TEST_CASE("damage: a shard's header is refused at its byte", "[core][hugging_face][damage]") {
  const TemporaryDirectory folder(fast_directory());
  const auto line = [&](const std::string& bytes) {
    spit(folder / "model.safetensors", bytes);
    return message_of<ConfigError>([&] { HuggingFaceWeights{folder.path()}; });
  };
  CHECK(line(safetensors(kTwo, "0123456789ab")) == "(no exception)");
  for (const Row& row : kHeaderRows) {
    INFO(row.from << " → " << row.to);
    const auto said = line(safetensors(changed(kTwo, row), "0123456789ab"));
    check_line(said, folder.path(), row.expected);
    CHECK(said.find("model.safetensors: byte ") != std::string::npos);
  }
  for (const File& file : cut_files()) check_line(line(file.bytes), folder.path(), file.expected);
}

TEST_CASE("damage: weights of whole numbers, and a file that shrinks, are refused when read",
          "[core][hugging_face][damage]") {
  const TemporaryDirectory folder(fast_directory());
  const auto file = folder / "model.safetensors";
  spit(file, safetensors(R"({"a":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}})", "01234567"));
  float values[2];
  check_line(
      message_of<ConfigError>([&] { HuggingFaceWeights(folder.path()).read("a", 0, 2, values); }),
      folder.path(), "byte 62: tensor 'a' is I32; weights must be F32, F16, BF16 or F64");
  spit(file, safetensors(kOne, "01234567"));
  const HuggingFaceWeights weights(folder.path());
  fs::resize_file(file, 66);
  check_line(message_of<ConfigError>([&] { weights.read("a", 0, 2, values); }), folder.path(),
             "has 66 bytes, and had 70 when it was opened");
}
