// The special tokens that transformers puts around a whole text, in samples: ids are those of the Python package.
#include "core/data/file_bytes.h"
#include "core/data/tokenizer.h"
#include "data_test_tools.h"

namespace veomni::data_test {
namespace {

using Ids = std::vector<int64_t>;

Json cases_of(const std::string& name) {
  const auto all =
      Json::parse(read_file_bytes(test::source_dir() + "/test/core/tokenizer_cases.json"));
  for (const Json& made : all)
    if (made.at("name") == name) return made;
  FAIL("no case " << name);
  return {};
}

Recipe text_recipe(const TempDir& dir, const Json& made, const std::string& format,
                   const std::string& data) {
  Recipe recipe_of = recipe(1, 256);
  recipe_of.tokenizer = dir.write("tokenizer.json", made.at("tokenizer").dump());
  recipe_of.sources = {source("s", format, dir.write("data." + format, data))};
  recipe_of.sources[0].sample = {segment("text", "text", true)};
  return recipe_of;
}

}  // namespace

TEST_CASE("data: a record's text gets the special tokens that transformers adds", "[core][data]") {
  for (const char* name : {"bert", "xlnet", "gpt2_small", "llama3_small", "qwen_small"}) {
    const Json made = cases_of(name);
    for (const Json& one : made.at("cases")) {
      INFO(name << ": " << one.at("text"));
      if (one.at("ids").empty()) continue;
      const TempDir dir;
      const auto data =
          open(text_recipe(dir, made, "jsonl", Json{{"text", one.at("text")}}.dump()));
      const auto sample = data->train_samples(0, 0, 1).at(0);
      const auto expected = one.at("with_special_tokens").get<Ids>();
      CHECK(sample.ids == expected);
      // All but the first token are learned, the end of the text too.
      Ids labels(expected.begin() + 1, expected.end());
      labels.push_back(kIgnore);
      CHECK(sample.labels == labels);
    }
  }
}

TEST_CASE("data: special tokens stand before a sample's first segment, behind its last text",
          "[core][data]") {
  const Json made = cases_of("bert");
  const TempDir dir;
  auto two = text_recipe(dir, made, "jsonl", R"({"question": "hello", "text": "world"})");
  two.sources[0].sample = {segment("text", "question", false), segment("text", "text", true)};
  const auto data = open(two);
  const auto sample = data->train_samples(0, 0, 1).at(0);
  const auto around = special_tokens_around(*data->tokenizer());
  const auto question = data->tokenizer()->encode("hello"),
             text = data->tokenizer()->encode("world");
  Ids expected = around.before;
  for (const Ids& more : {question, text, around.after})
    expected.insert(expected.end(), more.begin(), more.end());
  CHECK(sample.ids == expected);
  const size_t learned = around.before.size() + question.size();
  for (size_t t = 0; t < sample.ids.size(); ++t)
    CHECK(sample.labels[t] ==
          (t + 1 >= learned && t + 1 < expected.size() ? expected[t + 1] : kIgnore));
}

TEST_CASE("data: a file of text gets its special tokens once, windows between have none",
          "[core][data]") {
  const Json made = cases_of("gpt2_small");
  std::string text;
  for (int i = 0; i < 40; ++i) text += "some words ";
  const TempDir dir;
  auto whole = text_recipe(dir, made, "text", text);
  whole.sources[0].keys = {{"sample_tokens", 16}};
  whole.sources[0].train = {0, 0};
  whole.sources[0].eval = Range{0, 1};
  whole.sources[0].weight = 0;
  whole.sources.push_back(whole.sources[0]);
  whole.sources[1].name = "trained";
  whole.sources[1].train = {0, 1};
  whole.sources[1].eval = {};
  whole.sources[1].weight = 1;
  const auto data = open(whole);
  const auto around = special_tokens_around(*data->tokenizer());
  Ids expected = around.before;
  for (const Ids& more : {data->tokenizer()->encode(text), around.after})
    expected.insert(expected.end(), more.begin(), more.end());
  Ids stream{expected[0]};
  for (const auto& window : data->eval_samples(0, 0, data->source_size(0, true)))
    stream.insert(stream.end(), window.labels.begin(), window.labels.end());
  CHECK(stream == expected);
  CHECK(around.before.size() == 1);
  CHECK(around.after.size() == 1);
}

}  // namespace veomni::data_test
