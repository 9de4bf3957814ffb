// `veomni eval` and `veomni generate` on a small trained run.
#include <fmt/ranges.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "core/checkpoint/checkpoint.h"
#include "core/report/json_lines.h"
#include "runs/runs.h"
#include "support/paths.h"
#include "support/tiny_recipes.h"

using namespace veomni;
using namespace veomni::test;

namespace {

namespace fs = std::filesystem;

std::string train(const std::string& recipe) {
  const auto finished = run_veomni({"train", recipe, "train.steps=6"});
  INFO(finished.err);
  REQUIRE(finished.code == 0);
  return (std::filesystem::path(recipe).parent_path() / "run").string();
}

Json json_of(std::vector<std::string> arguments, int mpirun_ranks = 0) {
  arguments.push_back("--json");
  const auto finished = run_veomni(arguments, mpirun_ranks);
  INFO(finished.err);
  REQUIRE(finished.code == 0);
  return Json::parse(finished.out);
}

/// `recipe` with customers as its only source, and nothing of text.
std::string without_text(const std::string& recipe) {
  Json json = Json::parse(std::ifstream(recipe));
  json["model"].erase("decoders");
  json["model"]["encoders"].erase("photo");
  json["model"]["heads"].erase("label");
  json.erase("tokenizer");
  json["data"]["sources"] = Json::array({json["data"]["sources"][2]});
  json["data"]["sources"][0].erase("weight");
  const auto path = std::filesystem::path(recipe).parent_path() / "customers.json";
  std::ofstream(path) << json.dump();
  return path.string();
}

}  // namespace

TEST_CASE("eval: gives the values of the training's last evaluation", "[runs][eval]") {
  const TempDir folder;
  const auto recipe = write_omni_recipe(folder.path());
  const auto run = train(recipe);
  const Json expected = last_evaluation(run);
  REQUIRE(expected.size() == 3);
  const std::vector<std::vector<std::string>> same_thing{
      {"eval", run},
      {"eval", recipe},
      {"eval", run, "--checkpoint", "6"},
      {"eval", run + "/checkpoints/" + checkpoint_name(6)}};
  for (const auto& arguments : same_thing) {
    const Json result = json_of(arguments);
    CHECK(result["step"] == 6);
    CHECK(Json::parse(json_line(result["eval"])) == expected);  // both in 9 digits
  }
  for (const int mpirun_ranks : {0, 2}) {
    INFO(mpirun_ranks << " ranks by mpirun, else --ranks 2");
    std::vector<std::string> arguments{"eval", run};
    if (mpirun_ranks == 0) arguments.insert(arguments.end(), {"--ranks", "2"});
    const auto values = flatten_numbers(json_of(arguments, mpirun_ranks)["eval"]);
    const auto one = flatten_numbers(expected);
    REQUIRE(values.size() == one.size());
    for (size_t i = 0; i < one.size(); ++i) {
      INFO(one[i].first);
      CHECK(values[i].first == one[i].first);
      CHECK(values[i].second == Approx(one[i].second).epsilon(1e-6));
    }
  }
  const auto shown = run_veomni({"eval", run});
  CHECK_THAT(shown.out, Catch::StartsWith("evaluation at step 6\n") && Catch::EndsWith("\n"));
}

TEST_CASE("generate: the seed decides the text, the number of ranks does not", "[runs][generate]") {
  const TempDir folder;
  const auto run = train(write_omni_recipe(folder.path()));
  const auto command = [&](const std::string& seed) {
    return std::vector<std::string>{"generate",         run,  "--prompt", "the ",
                                    "--max-new-tokens", "24", "--seed",   seed};
  };
  const Json one = json_of(command("1"));
  CHECK(one["prompt"] == "the ");
  CHECK(one["text"].get<std::string>().size() == 24);  // the tokens are characters
  CHECK(json_of(command("1")) == one);
  CHECK(json_of(command("2")) != one);
  CHECK(json_of(command("1"), 2) == one);
  auto ranks = command("1");
  ranks.insert(ranks.end(), {"--ranks", "4"});
  CHECK(json_of(ranks) == one);
  const auto shown = run_veomni(command("1"));
  CHECK(shown.out == "the " + one["text"].get<std::string>() + "\n");
}

TEST_CASE("generate: runs, checkpoints, recipes and model directories; batches and their order",
          "[runs][generate]") {
  const TempDir folder;
  const auto recipe = write_omni_recipe(folder.path());
  const auto run = train(recipe);
  const std::vector<std::string> greedy{"--temperature", "0", "--max-new-tokens", "12"};
  const auto lines = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "generate");
    arguments.insert(arguments.end(), greedy.begin(), greedy.end());
    arguments.push_back("--json");
    const auto finished = run_veomni(arguments);
    INFO(finished.err);
    REQUIRE(finished.code == 0);
    std::vector<Json> all;
    std::istringstream out(finished.out);
    for (std::string line; std::getline(out, line);) all.push_back(Json::parse(line));
    return all;
  };
  const auto one = lines({run, "--prompt", "the "});
  REQUIRE(one.size() == 1);
  CHECK(one[0]["finish_reason"] == "length");
  CHECK(one[0]["ids"].size() == 12);
  CHECK(lines({recipe, "--prompt", "the "}) == one);
  CHECK(lines({run + "/checkpoints/" + checkpoint_name(6), "--prompt", "the "}) == one);
  const auto batch =
      lines({run, "--prompt", "a", "--prompt", "the ", "--prompt", "the the the the"});
  REQUIRE(batch.size() == 3);
  for (size_t i = 0; i < 3; ++i) CHECK(batch[i]["index"] == i);
  CHECK(batch[1]["text"] == one[0]["text"]);
  CHECK(batch[2]["text"] == lines({run, "--prompt", "the the the the"})[0]["text"]);
  std::ofstream(folder / "prompts.txt") << "a\nthe \nthe the the the\n";
  CHECK(lines({run, "--prompts", (folder / "prompts.txt").string(), "--batch-size", "2"}) == batch);
  // The data may be gone: the checkpoint has all that generation needs.
  fs::rename(run, folder / "moved");
  for (const auto& entry : fs::directory_iterator(folder.path()))
    if (entry.path().filename() != "moved") fs::remove_all(entry.path());
  CHECK(lines({(folder / "moved").string(), "--prompt", "the "}) == one);
}

TEST_CASE("generate: a model directory with a tokenizer, and one with ids alone",
          "[runs][generate]") {
  const auto shared = fs::path(source_dir()) / ".." / "shared";
  const auto stories = (shared / "data/model_stories260k/hf").string(),
             fixture = (shared / "fixtures/hf/qwen3_moe").string();
  if (!fs::exists(stories) || !fs::exists(fixture)) {
    WARN("skipped: no ../shared");
    return;
  }
  const auto story =
      run_veomni({"generate", stories, "--prompt", "Once upon", "--max-new-tokens", "12"});
  INFO(story.err);
  CHECK(story.out == "Once upon a time, there was a little girl named Lily\n");
  const Json stopped =
      json_of({"generate", stories, "--prompt", "Once upon", "--stop", "little"}, 0);
  CHECK(stopped["text"] == " a time, there was a ");
  CHECK(stopped["finish_reason"] == "stop");
  const Json long_one =
      json_of({"generate", stories, "--prompt", "One", "--max-new-tokens", "9999", "--ignore-eos"});
  CHECK(long_one["ids"].size() + long_one["prompt_ids"].size() == 512);
  const auto ids = run_veomni({"generate", fixture, "--tokens", "5,6,7", "--max-new-tokens", "4"});
  INFO(ids.err);
  CHECK(std::count(ids.out.begin(), ids.out.end(), ',') == 3);
  CHECK(run_veomni({"generate", fixture, "--tokens", "5,6,7", "--max-new-tokens", "4"}, 2).out ==
        ids.out);
  const Json same = json_of({"generate", fixture, "--tokens", "5,6,7", "--max-new-tokens", "4"});
  CHECK(fmt::format("{}\n", fmt::join(same["ids"].get<std::vector<int64_t>>(), ",")) == ids.out);
  CHECK_FALSE(same.contains("text"));
  std::string many = "1";
  for (int i = 0; i < 600; ++i) many += ",1";
  const std::vector<std::pair<std::vector<std::string>, std::string>> rows{
      {{"generate", fixture, "--prompt", "a"}, "--prompt: " + fixture + " has no tokenizer.json"},
      {{"generate", fixture, "--tokens", "1", "--stop", "a"}, "--stop: " + fixture + " has no tok"},
      {{"generate", fixture, "--tokens", "512"},
       "token 512 does not exist; the model has the ids 0"},
      {{"generate", stories, "--tokens", many}, "has 601 tokens, but the model reads at most 512"},
      {{"generate", stories, "--prompt", "a", "--checkpoint", "3"}, "has no checkpoints; leave it"},
      {{"generate", stories, "--prompt", "a", "train.precisoin=bf16"}, "did you mean 'precision'"}};
  for (const auto& [arguments, message] : rows) {
    const auto finished = run_veomni(arguments);
    INFO(finished.err);
    CHECK(finished.code == 2);
    CHECK(finished.out.empty());
    CHECK_THAT(finished.err, Catch::Contains(message));
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
  }
}

TEST_CASE("eval, generate: what cannot be done is one line and exit 2", "[runs][arguments]") {
  const TempDir folder;
  const auto recipe = write_omni_recipe(folder.path());
  const auto untrained = run_veomni({"eval", recipe});
  CHECK(untrained.code == 2);
  CHECK_THAT(
      untrained.err,
      Catch::EndsWith(
          "run: has no complete checkpoint; train first, or start from a model with model.from\n"));
  const auto run = train(recipe);
  const auto textless = without_text(recipe);
  REQUIRE(run_veomni({"train", textless, "train.steps=2", "train.schedule.warmup=1",
                      "output=" + (folder / "textless").string()})
              .code == 0);
  struct Row {
    std::vector<std::string> arguments;
    std::string expected;
  };
  const std::vector<Row> rows{
      {{"eval", folder.path().string()}, "not a regular file"},
      {{"eval", run, "--checkpoint", "5"}, "5"},
      {{"eval", run, "--checkpoint", "5", "--ranks", "2"}, "5"},
      {{"eval", run, "model.base.hidden_size=64"}, "32"},
      {{"generate", run, "--prompt", ""}, "--prompt: the prompt is empty; give at least one"},
      {{"generate", run, "--prompt", "QUIZ"}, "--prompt: the character 'Q'"},
      {{"generate", run}, "give one of --prompt, --tokens, --prompts"},
      {{"generate", run, "--prompt", "a", "--tokens", "1"}, "give one of --prompt, --tokens, "},
      {{"generate", run, "--tokens", "1,x"}, "--tokens: 'x' is no token id"},
      {{"generate", run, "--tokens", "1,9999"},
       "--tokens: token 9999 does not exist; the model has"},
      {{"generate", run, "--prompts", (folder / "no.txt").string()}, "no.txt: no such file"},
      {{"generate", run, "--prompt", "a\xff"}, "--prompt: invalid UTF-8 at byte 1"},
      {{"generate", run, "--prompt", "a", "--stop", ""}, "--stop: the text is empty"},
      {{"generate", run, "--prompt", "a", "--stop-token-ids", "9999"}, "token 9999 does not exist"},
      {{"generate", run, "--prompt", "a", "--temperature", "-1"}, "--temperature"},
      {{"generate", run, "--prompt", "a", "--top-p", "1.1"}, "--top-p"},
      {{"generate", folder.path().string(), "--prompt", "a"}, "holds neither a config.json nor a"},
      {{"generate", (folder / "nowhere").string(), "--prompt", "a"}, "nowhere: no such file"},
      {{"generate", run, "--prompt", "the ", "--checkpoint", "5"}, "5"},
      {{"generate", (folder / "textless").string(), "--prompt", "a"},
       "has no text decoder, so it generates no text; give"},
  };
  for (const auto& row : rows) {
    const auto finished = run_veomni(row.arguments);
    INFO(finished.err);
    CHECK(finished.code == 2);
    CHECK(finished.out.empty());
    CHECK_THAT(finished.err, Catch::Contains(row.expected));
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
  }
}
