// Tables and other data files, and JSON texts with places.
#include "core/data/source.h"
#include "core/error.h"
#include "fuzz/targets.h"
#include "test/core/data_test_tools.h"

namespace veomni::fuzz {
namespace fs = std::filesystem;
using namespace veomni::data_test;
namespace {

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
  return {source_target(folder, "idx", {idx({2, 1, 2}, "abcd"), idx({1, 2, 2, 3}, "abcdefghijkl")},
                        {"image"}, {}),
          source_target(folder, "csv", {"x,y\n1,2\n\"a,\"\"b\",\r\n", "x,y\n,\n"}, {"x", "y"},
                        {"\"", "\n", "\r\n", ",", "\"\""}),
          source_target(folder, "jsonl",
                        {"{\"x\": [1, 2], \"y\": \"a\"}\n\n{\"x\": 1.5, \"y\": null}\n"},
                        {"x", "y"}, {"[[[[", "\\ud800", "\n", "{", "\xff"}),
          source_target(folder, "lines", {"a\n\nbc\r\n\xc3\xa9"}, {"text"}, {"\n", "\r\n", "\xff"}),
          located_json_target(folder)};
}

}  // namespace veomni::fuzz
