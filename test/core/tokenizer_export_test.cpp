// The tokenizers `characters` and `bytes` as a tokenizer.json.
#include "core/data/tokenizer_export.h"

#include <catch2/catch.hpp>

#include "core/data/tokenizer.h"
#include "test/core/data_test_tools.h"
#include "test/core/tokenizer_files.h"

using namespace veomni;
using veomni::data_test::TempDir;

namespace {

void check_same(const Tokenizer& tokenizer, const std::vector<std::string>& texts) {
  const TempDir temp;
  write_tokenizer(tokenizer.state(), tokenizer.state().at("type"), temp.path(""));
  const FileTokenizer written(temp.path(""));
  CHECK(written.vocab_size() == tokenizer.vocab_size());
  for (const auto& text : texts) {
    INFO(Json(text).dump());
    const auto ids = tokenizer.encode(text);
    CHECK(written.encode(text) == ids);
    CHECK(written.decode(ids) == text);
  }
  const auto config = Json::parse(read_file_bytes(temp.path("tokenizer_config.json")));
  CHECK(config["tokenizer_class"] == "PreTrainedTokenizerFast");
}

}  // namespace

TEST_CASE("tokenizer: characters and bytes are exported with equal ids", "[core][tokenizer]") {
  const std::vector<std::string> texts{"", "a", "the cat\n  sat.\t",
                                       "\xC3\xA4\xF0\x9F\x98\x80 \"\\a", std::string("a\0b", 3)};
  const auto fitted = make_tokenizer("characters", [&](const auto& visit) {
    for (const auto& text : texts) visit(text, "here");
  });
  check_same(*fitted, texts);
  check_same(*make_tokenizer("bytes", [](const auto&) {}), texts);
}

TEST_CASE("tokenizer: a file is exported under its usual name, if it is still the same",
          "[core][tokenizer]") {
  const TempDir from, to;
  const auto all =
      Json::parse(read_file_bytes(test::source_dir() + "/test/core/tokenizer_cases.json"));
  const auto text = all.at(0).at("tokenizer").dump();
  const auto file = from.write("small.json.gz", data_test::gzip(text));
  from.write("special_tokens_map.json", "{}");
  const auto state = FileTokenizer(file).state();
  write_tokenizer(state, file, to.path(""));
  CHECK(read_file_bytes(to.path("tokenizer.json")) == text);
  CHECK(read_file_bytes(to.path("special_tokens_map.json")) == "{}");
  from.write("small.json.gz", data_test::gzip(text + " "));
  CHECK_THROWS_WITH(write_tokenizer(state, file, to.path("")), Catch::Contains("checksum differs"));
}
