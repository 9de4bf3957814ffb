#include <catch2/catch.hpp>
#include <cstring>
#include <numeric>

#include "core/checkpoint/safetensors.h"
#include "core/error.h"
#include "core/json.h"
#include "support/made_files.h"
#include "test/core/checkpoint_files.h"

using namespace veomni;
using namespace veomni::made;
using namespace veomni_test;

namespace {

const std::string kOne = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";

}  // namespace

TEST_CASE("safetensors: a file is written byte for byte as the format says", "[core][checkpoint]") {
  TemporaryDirectory directory;
  const float a[2] = {1.0f, -2.0f};
  const uint8_t b[3] = {7, 8, 9};
  write_safetensors(directory / "x.safetensors",
                    {{.name = "b", .dtype = "U8", .shape = {3}, .data = b},
                     {.name = "a", .dtype = "F32", .shape = {1, 2}, .data = a}},
                    {{"format", "pt"}});
  std::string header =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}})";
  while (header.size() % 8 != 0) header += ' ';
  const std::string data("\x00\x00\x80\x3f\x00\x00\x00\xc0\x07\x08\x09", 11);
  CHECK(slurp(directory / "x.safetensors") == safetensors(header, data));
}

TEST_CASE("safetensors: a file made by hand is read", "[core][checkpoint]") {
  TemporaryDirectory directory;
  const std::string header =
      R"({"__metadata__":{"k":"v"},"half":{"dtype":"BF16","shape":[],"data_offsets":[8,10]},)"
      R"("none":{"dtype":"I64","shape":[0,5],"data_offsets":[8,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}   )";
  spit(directory / "x",
       safetensors(header, std::string("\x00\x00\x80\x3f\x00\x00\x00\xc0\x80\x3f", 10)));
  const SafetensorsFile file(directory / "x");
  REQUIRE(file.tensors().size() == 3);
  CHECK(file.tensors()[0].name == "a");
  CHECK(file.metadata().at("k") == "v");
  float a[2];
  std::memcpy(a, file.get("a").data, file.get("a").bytes);
  CHECK(a[0] == 1.0f);
  CHECK(a[1] == -2.0f);
  CHECK(file.get("half").shape.empty());
  CHECK(file.get("half").bytes == 2);
  CHECK(file.get("none").bytes == 0);
  CHECK(file.find("absent") == nullptr);
  CHECK(message_of<ConfigError>([&] { file.get("absent"); }) ==
        (directory / "x").string() + ": has no tensor \"absent\"");
}

TEST_CASE("safetensors: every dtype and aligned offsets survive a round trip",
          "[core][checkpoint]") {
  TemporaryDirectory directory;
  std::vector<unsigned char> bytes(64);
  std::iota(bytes.begin(), bytes.end(), static_cast<unsigned char>(0));
  std::vector<SafetensorsTensor> tensors;
  for (const char* dtype : {"BOOL", "I8", "U8", "I16", "F16", "BF16", "I32", "F32", "I64", "F64"}) {
    tensors.push_back({.name = std::string("t.") + dtype + " \"\n é",
                       .dtype = dtype,
                       .shape = {3, 1},
                       .data = bytes.data() + tensors.size()});
  }
  tensors.push_back({.name = "empty", .dtype = "F32", .shape = {0}});
  write_safetensors(directory / "x", tensors);
  const SafetensorsFile file(directory / "x");
  REQUIRE(file.tensors().size() == tensors.size());
  for (const auto& tensor : tensors) {
    const auto& read = file.get(tensor.name);
    CHECK(read.dtype == tensor.dtype);
    CHECK(read.shape == tensor.shape);
    CHECK(file.offset(read) % dtype_bytes(read.dtype) == 0);
    if (read.bytes > 0) CHECK(std::memcmp(read.data, tensor.data, read.bytes) == 0);
  }
}

TEST_CASE("safetensors: what Python's reader demands holds for a written file",
          "[core][checkpoint]") {
  TemporaryDirectory directory;
  std::vector<float> data(1000, 0.5f);
  write_safetensors(directory / "x",
                    {{.name = "w", .dtype = "F32", .shape = {10, 100}, .data = data.data()},
                     {.name = "s", .dtype = "F16", .shape = {3}, .data = data.data()}});
  const auto text = slurp(directory / "x");
  uint64_t length = 0;
  std::memcpy(&length, text.data(), 8);
  REQUIRE(8 + length <= text.size());
  CHECK(length % 8 == 0);
  CHECK(text[8] == '{');
  const auto header = Json::parse(text.substr(8, length));
  uint64_t end = 0;
  for (const auto& [name, entry] : header.items()) {
    CHECK(entry.at("data_offsets")[0].get<uint64_t>() == end);
    end = entry.at("data_offsets")[1];
  }
  CHECK(end == text.size() - 8 - length);
}

TEST_CASE("safetensors: damaged files are refused with the byte", "[core][checkpoint]") {
  TemporaryDirectory directory;
  const std::string eight(8, 'x');
  struct Row {
    std::string bytes, expected;
  };
  const auto entry = [](const std::string& text) {
    return safetensors("{\"a\":" + text + "}", "12345678");
  };
  const std::vector<Row> rows{
      {"", "byte 0: the file ends within the header's length"},
      {"abc", "byte 3: the file ends within"},
      {little_endian(1, 8), "byte 8: the file ends within its header of 1 bytes"},
      {little_endian(~0ull, 8) + eight, "byte 0: header length 18446744073709551615 exceeds"},
      {little_endian(100'000'001, 8) + eight, "byte 0: header length 100000001 exceeds"},
      {little_endian(0, 8) + eight, "byte 8: the header must begin with '{'"},
      {safetensors(" " + kOne, eight), "byte 8: the header must begin with '{'"},
      {safetensors("[]", ""), "byte 8: the header must begin with '{'"},
      {safetensors("{\"a\":", ""), "the header is not valid JSON"},
      {safetensors("{\"a\": NaN}", ""), "byte 14: the header is not valid JSON"},
      {safetensors("{\"\xff\": 1}", ""), "the header is not valid JSON"},
      {safetensors(kOne + kOne, eight), "the header is not valid JSON"},
      {safetensors("{\"a\":{\"a\":[[[[1]]]]}}", ""),
       "byte 19: the header is nested deeper than 3 levels"},
      {safetensors(kOne.substr(0, kOne.size() - 1) + "," + kOne.substr(1), eight),
       "key \"a\" occurs twice"},
      {safetensors("{\"__metadata__\":3}", ""), "'__metadata__' must map names to strings"},
      {safetensors("{\"__metadata__\":{\"a\":1}}", ""), "'__metadata__' must map names to strings"},
      {entry("7"), "byte 9: tensor \"a\": must be an object"},
      {entry(R"({"dtype":"F32","shape":[2]})"), "'data_offsets' is missing"},
      {entry(R"({"dtype":"F32","data_offsets":[0,8]})"), "'shape' is missing"},
      {entry(R"({"shape":[2],"data_offsets":[0,8]})"), "'dtype' is missing"},
      {entry(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1})"), "has keys besides"},
      {entry(R"({"dtype":"F99","shape":[2],"data_offsets":[0,8]})"), "dtype \"F99\" is unknown"},
      {entry(R"({"dtype":1,"shape":[2],"data_offsets":[0,8]})"), "'dtype' must be a string"},
      {entry(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})"), "'shape' must be a list"},
      {entry(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), "'shape' holds \"-2\""},
      {entry(R"({"dtype":"F32","shape":[2.5],"data_offsets":[0,8]})"), "'shape' holds \"2.5\""},
      {entry(R"({"dtype":"F32","shape":[1e999],"data_offsets":[0,8]})"), "number out of range"},
      {entry(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]})"),
       "more than 2^62 elements"},
      {entry(R"({"dtype":"F64","shape":[4611686018427387904],"data_offsets":[0,0]})"),
       "does not fill its 0 bytes"},
      {entry(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"),
       "F32 of 3 elements does not fill its 8 bytes"},
      {entry(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"),
       "'data_offsets' must be [begin, end]"},
      {entry(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4,8]})"),
       "'data_offsets' must be [begin, end]"},
      {safetensors(kOne, "1234567"), "after the end of the file; it is truncated"},
      {safetensors(kOne, "123456789"), "1 bytes after the last tensor"},
      {safetensors(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})", eight),
       "4 bytes before tensor \"a\" belong to no tensor"},
      {safetensors(
           R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[5],"data_offsets":[3,8]}})",
           eight),
       "tensor \"b\" overlaps another"},
  };
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto path = directory / ("bad" + std::to_string(i));
    spit(path, rows[i].bytes);
    const auto message = message_of<ConfigError>([&] { SafetensorsFile{path}; });
    INFO("row " << i);
    CHECK_THAT(message, Catch::Matchers::StartsWith(path.string() + ": byte "));
    CHECK_THAT(message, Catch::Matchers::Contains(rows[i].expected));
    CHECK(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("safetensors: what is no file, and tensors that make none, are refused",
          "[core][checkpoint]") {
  TemporaryDirectory directory;
  CHECK_THAT(message_of<ConfigError>([&] { SafetensorsFile{directory.path()}; }),
             Catch::Matchers::Contains("not a regular file"));
  CHECK_THAT(message_of<ConfigError>([&] { SafetensorsFile{directory / "absent"}; }),
             Catch::Matchers::Contains("No such file"));
  const float x = 1;
  const auto write = [&](const std::vector<SafetensorsTensor>& tensors) {
    return message_of<Error>([&] { write_safetensors(directory / "y", tensors); });
  };
  CHECK_THAT(write({{.name = "a", .dtype = "F33", .shape = {1}, .data = &x}}),
             Catch::Matchers::Contains("dtype \"F33\" cannot be written"));
  CHECK_THAT(write({{.name = "a", .dtype = "F32", .shape = {-1}, .data = &x}}),
             Catch::Matchers::Contains("impossible"));
  CHECK_THAT(write({{.name = "a", .dtype = "F32", .shape = {1}}}),
             Catch::Matchers::Contains("has no data"));
  CHECK_THAT(write({{.name = "\xff", .dtype = "F32", .shape = {1}, .data = &x}}),
             Catch::Matchers::Contains("not UTF-8"));
  CHECK_THAT(write({{.name = "__metadata__", .dtype = "F32", .shape = {1}, .data = &x}}),
             Catch::Matchers::Contains("reserved"));
  CHECK_THAT(write({{.name = "a", .dtype = "F32", .shape = {1}, .data = &x},
                    {.name = "a", .dtype = "F32", .shape = {1}, .data = &x}}),
             Catch::Matchers::Contains("given twice"));
  CHECK(std::filesystem::is_empty(directory.path()));
}
