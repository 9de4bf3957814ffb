// From tokens to text as they come; prompts; generation_config.json.
#include <catch2/catch.hpp>
#include <fstream>

#include "core/data/tokenizer.h"
#include "core/error.h"
#include "core/generate/generated_text.h"
#include "core/generate/prompts.h"
#include "core/hugging_face/generation_config.h"
#include "core/tokenizer/file_tokenizer.h"
#include "support/paths.h"
#include "support/temp_dir.h"

using namespace veomni;
using namespace veomni::test;

namespace {

namespace fs = std::filesystem;

/// "|"-joined pieces as they came, then what finish gave.
std::string pieces(const Tokenizer& tokenizer, const std::vector<int64_t>& prompt,
                   const std::vector<int64_t>& ids, const std::vector<std::string>& stops = {}) {
  GeneratedText stream(tokenizer, prompt, stops);
  std::string all, joined;
  for (const int64_t id : ids) {
    const auto piece = stream.push(id);
    all += piece + "|";
    joined += piece;
  }
  const auto rest = stream.finish();
  CHECK(joined + rest == stream.text());
  return all + rest + (stream.stopped() ? " [stopped]" : "");
}

std::vector<int64_t> bytes(const std::string& text) {
  return make_tokenizer("bytes", {})->encode(text);
}

fs::path stories() {
  return fs::path(source_dir()) / ".." / "shared" / "data" / "model_stories260k" / "hf";
}

}  // namespace

TEST_CASE("generated text: pieces come at whole characters, and are always UTF-8",
          "[core][generate]") {
  const auto tokenizer = make_tokenizer("bytes", {});
  CHECK(pieces(*tokenizer, bytes("a"), bytes("bé€😀c")) == "b||é|||€||||😀|c|");
  CHECK(pieces(*tokenizer, bytes("é"), {0xF0, 0x9F, 0x98}) ==
        "|||\uFFFD\uFFFD\uFFFD");  // cut short
  CHECK(pieces(*tokenizer, bytes("a"), {0xFF, 'b', 0xC3, 'c', 0x80}) ==
        "\uFFFD|b||\uFFFDc|\uFFFD|");
}

TEST_CASE("generated text: a stop text ends the text, wherever tokens cut it", "[core][generate]") {
  const auto tokenizer = make_tokenizer("bytes", {});
  CHECK(pieces(*tokenizer, bytes("x"), bytes("ab--c---d"), {"---"}) ==
        "a|b|||--c|||||"
        " [stopped]");
  CHECK(pieces(*tokenizer, bytes("x"), bytes("a--"), {"---"}) == "a|||--");
  CHECK(pieces(*tokenizer, bytes("x"), bytes("abcd"), {"cd", "bc"}) == "a|||| [stopped]");
  CHECK(pieces(*tokenizer, bytes("---"), bytes("ab"), {"---"}) == "a|b|");  // not in the prompt
}

TEST_CASE("generated text: SentencePiece spaces, special tokens and byte tokens",
          "[core][generate]") {
  if (!fs::exists(stories())) {
    WARN("skipped: no ../shared/data/model_stories260k");
    return;
  }
  const FileTokenizer tokenizer(stories().string());
  const auto ids = tokenizer.encode_with_special_tokens("Lily said 中😀 ok");
  REQUIRE(ids.front() == 1);
  const std::vector<int64_t> after_bos(ids.begin() + 1, ids.end());
  GeneratedText alone(tokenizer, {1}, {});
  for (const int64_t id : after_bos) {
    const auto piece = alone.push(id);
    CHECK(piece.find("\uFFFD") == std::string::npos);
  }
  CHECK(alone.push(2).empty());  // </s> is not shown
  CHECK(alone.finish().empty());
  CHECK(alone.text() == "Lily said 中😀 ok");
  // Behind other words the first word keeps its space.
  GeneratedText behind(tokenizer, ids, {});
  for (const int64_t id : after_bos) behind.push(id);
  behind.finish();
  CHECK(behind.text() == " Lily said 中😀 ok");
}

TEST_CASE("prompts: ids and files are read; each wrong line is named", "[core][generate]") {
  CHECK(parse_ids("1, 2,3", "x") == std::vector<int64_t>{1, 2, 3});
  for (const char* wrong : {"", "1,", "1,,2", "-1", "1.5", "a", "99999999999999999999"}) {
    INFO(wrong);
    CHECK_THROWS_WITH(parse_ids(wrong, "--tokens"), Catch::StartsWith("--tokens: '"));
  }
  const TempDir folder;
  const auto file = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder / name) << text;
    return (folder / name).string();
  };
  const auto lines = read_prompts(file("a.txt", "one\n two\r\nthree"));
  REQUIRE(lines.size() == 3);
  CHECK(lines[1].text == " two");
  const auto json = read_prompts(file("a.jsonl",
                                      "\"one\"\n[1,2]\n\n{\"prompt\":\"three\"}\n{\"prompt\":[4]}"
                                      "\n{\"input_ids\":[5],\"id\":1}\n"));
  REQUIRE(json.size() == 5);
  CHECK(json[0].text == "one");
  CHECK(json[1].ids == std::vector<int64_t>{1, 2});
  CHECK(json[2].text == "three");
  CHECK(json[3].ids == std::vector<int64_t>{4});
  CHECK(json[4].ids == std::vector<int64_t>{5});
  CHECK(json[4].where == (folder / "a.jsonl:6").string());
  const std::pair<const char*, const char*> rows[] = {
      {"\"a\"\n{\"text\":1}", "b.jsonl:2: "},
      {"[1,\"2\"]", "\"2\" is no token id"},
      {"[1,2.5]", "2.5 is no token id"},
      {"{\"prompt\":\"a\",\"input_ids\":[1]}", "has both"},
      {"{\"prompt\":{\"a\":1}}", "is no prompt"},
      {"{", "not valid JSON"},
      {"\n", "holds no prompt"}};
  for (const auto& [text, message] : rows) {
    INFO(text);
    CHECK_THROWS_WITH(read_prompts(file("b.jsonl", text)), Catch::Contains(message));
  }
  CHECK_THROWS_WITH(read_prompts(file("c.txt", "a\n\xFFz")),
                    Catch::Contains("c.txt:2: invalid UTF-8 at byte 0"));
}

TEST_CASE("generation_config.json: transformers' meaning, and what is not offered is refused",
          "[core][generate]") {
  const TempDir folder;
  const auto read = [&](const std::string& config, const std::string& generation,
                        bool ignore = false) {
    std::ofstream(folder / "config.json") << config;
    std::ofstream(folder / "generation_config.json") << generation;
    return read_generation_defaults(folder.path(), ignore);
  };
  const std::string config = R"({"eos_token_id": 2, "max_position_embeddings": 512})";
  const auto greedy = read(config, R"({"temperature": 0.6, "top_k": 20, "eos_token_id": [7, 8]})");
  CHECK(greedy.settings.temperature == 0);  // do_sample is absent
  CHECK(greedy.settings.context == 512);
  CHECK(greedy.settings.stop_ids == std::vector<int64_t>{7, 8});
  const auto sampled = read(
      config, R"({"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.1,
                  "repetition_penalty": 1.05, "max_length": 100, "num_beams": 1, "bos_token_id": 1,
                  "stop_strings": "END", "no_repeat_ngram_size": null})");
  CHECK(sampled.settings.temperature == 0.6);
  CHECK(sampled.settings.top_k == 20);
  CHECK(sampled.settings.top_p == 0.95);
  CHECK(sampled.settings.min_p == 0.1);
  CHECK(sampled.settings.repetition_penalty == 1.05);
  CHECK(sampled.settings.stop_ids == std::vector<int64_t>{2});  // of config.json
  CHECK(sampled.settings.stop_texts == std::vector<std::string>{"END"});
  CHECK(sampled.max_length == 100);
  const auto limit = read(config, R"({"max_length": 100, "max_new_tokens": 5})");
  CHECK(!limit.max_length);
  CHECK(limit.settings.max_new_tokens == 5);
  const std::pair<const char*, const char*> rows[] = {
      {R"({"num_beams": 4})", "generation_config.json: num_beams: 4 is not supported"},
      {R"({"num\u007f\u000abeams": 4})", "generation_config.json: num  beams: 4 is not supported"},
      {R"({"no_repeat_ngram_size": 3})", "no_repeat_ngram_size: 3 is not supported"},
      {R"({"bad_words_ids": [[5]]})", "bad_words_ids: [[5]] is not supported"},
      {R"({"temprature": 1})", "temprature: 1 is not supported"},
      {R"({"temperature": "hot"})", "temperature: is \"hot\", must be a number"},
      {R"({"top_p": 1.5})", "top_p: is 1.5, must be a number from 0 to 1"},
      {R"({"do_sample": 1})", "do_sample: must be true or false"},
      {R"({"max_new_tokens": 0})", "max_new_tokens: is 0, must be an integer of at least 1"},
      {R"({"eos_token_id": "x"})", "eos_token_id: \"x\" is no token id"},
      {R"([])", "is no JSON object"},
      {R"({)", "not valid JSON"}};
  for (const auto& [generation, message] : rows) {
    INFO(generation);
    CHECK_THROWS_WITH(read(config, generation), Catch::Contains(message));
    CHECK(read(config, generation, /*ignore=*/true).settings.stop_ids == std::vector<int64_t>{2});
  }
}
