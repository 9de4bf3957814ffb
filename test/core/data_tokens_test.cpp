// Format `tokens`: ids and labels as Hugging Face's data sets hold them.
#include "core/data/sample.h"
#include "data_test_tools.h"

namespace veomni::data_test {
namespace {

using Ids = std::vector<int64_t>;

Recipe tokens(const TempDir& dir, const std::string& lines) {
  Recipe made = recipe(1, 64);
  made.base.vocab_size = 100;
  made.sources = {source("ids", "tokens", dir.write("ids.jsonl", lines))};
  made.sources[0].sample = {segment("text", "input_ids", true)};
  return made;
}

Sample first_sample(const Recipe& made) {
  return open_dataset(made, nullptr)->train_samples(0, 0, 1).at(0);
}

std::string error_of(const Recipe& made) {
  try {
    first_sample(made);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("data: tokens keep their ids; labels move by one, -100 is not learned", "[core][data]") {
  const TempDir dir;
  const auto sample =
      first_sample(tokens(dir, R"({"input_ids": [5, 6, 7, 99], "labels": [-100, -100, 7, 99]})"));
  CHECK(sample.ids == Ids{5, 6, 7, 99});
  CHECK(sample.labels == Ids{kIgnore, 7, 99, kIgnore});
  const auto all = first_sample(tokens(dir, R"({"input_ids": [5, 6, 7]})"));
  CHECK(all.labels == Ids{6, 7, kIgnore});
}

TEST_CASE("data: tokens that do not fit are refused with their line", "[core][data]") {
  const std::pair<const char*, const char*> rows[] = {
      {R"({"input_ids": [1, 100], "labels": [1, 2]})", "input_ids: id 100 is outside"},
      {R"({"input_ids": [1, -1], "labels": [1, 2]})", "input_ids: id -1 is outside"},
      {R"({"input_ids": [1, -100], "labels": [1, 2]})", "input_ids: id -100 is outside"},
      {R"({"input_ids": [1, 2], "labels": [1, -1]})", "labels: id -1 is outside"},
      {R"({"input_ids": [1, 2], "labels": [1]})", "labels: has 1 labels for 2 ids"},
      {R"({"input_ids": "a b", "labels": [1, 2]})", "input_ids: is no list of integers"},
      {R"({"input_ids": [1.5], "labels": [1]})", "input_ids"}};
  for (const auto& [line, says] : rows) {
    const TempDir dir;
    const auto message = error_of(tokens(dir, line));
    INFO(message);
    CHECK(message.find("ids.jsonl:1: ") != std::string::npos);
    CHECK(message.find(says) != std::string::npos);
  }
}

}  // namespace veomni::data_test
