// SentencePiece's compiled normalization rules: ids of the library and of the Python package on models that
// scripts/bench_peers/made_charsmap.py trained.
#include <catch2/catch.hpp>

#include "core/tokenizer/charsmap.h"
#include "core/tokenizer/normalizer.h"
#include "core/tokenizer/unicode.h"
#include "test/core/data_test_tools.h"
#include "test/core/tokenizer_files.h"

using namespace veomni;
using veomni::data_test::TempDir;

namespace {

FileJson cases() {
  return FileJson::parse(read_file_bytes(test::source_dir() + "/test/core/charsmap_cases.json"));
}

std::string normalized(const FileJson& normalizer, const std::string& text) {
  Workspace work;
  std::string out = text;
  make_normalizer(normalizer, "normalizer")->apply(out, work);
  return out;
}

}  // namespace

TEST_CASE("tokenizer: SentencePiece models with rules give the library's ids",
          "[core][tokenizer]") {
  const TempDir temp;
  int models = 0;
  for (const auto& made : cases()) {
    if (!made.contains("model")) continue;
    const auto bytes = decode_base64(made.at("model").get<std::string>(), "model");
    const FileTokenizer tokenizer(temp.write("tokenizer.model", bytes));
    ++models;
    for (const auto& one : made.at("cases")) {
      INFO(made.at("name") << ": " << one.at("text"));
      CHECK(tokenizer.encode(one.at("text").get<std::string>()) ==
            one.at("ids").get<std::vector<int64_t>>());
    }
  }
  CHECK(models == 2);
}

TEST_CASE("tokenizer: Precompiled and Nmt normalize as the Python package", "[core][tokenizer]") {
  const TempDir temp;
  for (const auto& made : cases()) {
    const bool whole = made.contains("tokenizer");
    if (!whole && made.at("name") != "nmt") continue;
    const FileJson normalizer =
        whole ? made.at("tokenizer").at("normalizer") : FileJson{{"type", "Nmt"}};
    for (const auto& one : made.at("cases")) {
      INFO(made.at("name") << ": " << one.at("text"));
      const auto text = one.at("text").get<std::string>();
      CHECK(normalized(normalizer, text) == one.at("normalized").get<std::string>());
      if (!whole) continue;
      const FileTokenizer tokenizer(temp.write("tokenizer.json", made.at("tokenizer").dump()));
      CHECK(tokenizer.encode(text) == one.at("ids").get<std::vector<int64_t>>());
    }
  }
}

TEST_CASE("tokenizer: damaged rules are refused, or never lead outside", "[core][tokenizer]") {
  std::string rules;
  for (const auto& made : cases())
    if (made.contains("tokenizer"))
      rules = decode_base64(made.at("tokenizer")
                                .at("normalizer")
                                .at("normalizers")
                                .at(0)
                                .at("precompiled_charsmap")
                                .get<std::string>(),
                            "rules");
  REQUIRE(rules.size() > 100);
  for (const std::string& wrong :
       {std::string(), rules.substr(0, 4), rules.substr(0, rules.size() - 1), "\xff" + rules,
        std::string("\x05\0\0\0", 4) + rules, std::string("\0\0\0\0", 4) + rules})
    CHECK_THROWS_WITH(Charsmap(wrong, "here"),
                      Catch::StartsWith("here: is no precompiled_charsmap"));
  for (const char* text : {"abc", "ab=c", "a===", "ab~d"})
    CHECK_THROWS_WITH(decode_base64(text, "here"), Catch::StartsWith("here: is no base64"));
  CHECK(decode_base64("AAEC/w==", "") == std::string("\0\1\2\xff", 4));
  CHECK(decode_base64("", "").empty());
  // Whatever stands in the trie, the text stays UTF-8.
  for (size_t at = 4; at < rules.size() - 1; at += 3) {
    std::string damaged = rules;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    std::string text = "H\xC3\x84pfel He a\xCC\x88\xEF\xAC\x81 \xE3\x80\x80x";
    try {
      const Charsmap map(damaged, "here");
      std::string other = text;
      apply_charsmap(map, text);
      apply_charsmap_to_graphemes(map, other);
      CHECK(find_invalid_utf8(text) == std::string::npos);
      CHECK(find_invalid_utf8(other) == std::string::npos);
    } catch (const ConfigError&) {
    }
  }
}
