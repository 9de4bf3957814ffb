// `veomni eval` and `veomni generate` on a small trained run.
#include <catch2/catch.hpp>
#include <fstream>

#include "core/checkpoint/checkpoint.h"
#include "core/report/json_lines.h"
#include "runs/runs.h"
#include "support/tiny_recipes.h"

using namespace veomni;
using namespace veomni::test;

namespace {

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
    return std::vector<std::string>{"generate", run,  "--prompt", "the ",
                                    "--tokens", "24", "--seed",   seed};
  };
  const Json one = json_of(command("1"));
  CHECK(one["prompt"] == "the ");
  CHECK(one["text"].get<std::string>().size() == 24);  // the tokens are characters
  CHECK(json_of(command("1")) == one);
  CHECK(json_of(command("2")) != one);
  CHECK(json_of(command("1"), 2) == one);
  const auto shown = run_veomni(command("1"));
  CHECK(shown.out == "the " + one["text"].get<std::string>() + "\n");
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
      {{"generate", run, "--prompt", ""}, "generate: the prompt is empty; give at least one"},
      {{"generate", run, "--prompt", "QUIZ"}, "Q"},
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
