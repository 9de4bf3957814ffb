// What a part promises before LibTorch is loaded is what it builds.
#include <catch2/catch.hpp>
#include <fstream>
#include <set>

#include "core/recipe/model_parameters.h"
#include "support/tiny_run.h"

using namespace veomni;
using namespace veomni::test;

TEST_CASE("describe: the parameters of every part are those its spec names, in name and shape",
          "[modalities][describe]") {
  TempDir folder;
  const auto path = write_omni_recipe(folder.path());
  const auto outcome = run_recipe(path, {.overrides = {"output=run", "train.steps=2"}});
  const auto recipe = read_recipe(path, {});
  const auto vocab = outcome.parameters.at("model.embed_tokens.weight").size(0);
  std::set<std::string> named;
  for (const auto& parameter : model_parameters(recipe, vocab)) {
    INFO(parameter.name);
    named.insert(parameter.name);
    REQUIRE(outcome.parameters.count(parameter.name) == 1);
    CHECK(outcome.parameters.at(parameter.name).sizes() == at::IntArrayRef(parameter.shape));
  }
  CHECK(named.size() == outcome.parameters.size());
}

TEST_CASE("epochs: every training sample is seen once, and the run ends by itself",
          "[modalities][epochs]") {
  TempDir folder;
  std::ifstream file(write_omni_recipe(folder.path()));
  auto recipe = Json::parse(file);
  recipe["train"].erase("steps");
  recipe["train"]["epochs"] = 1;
  const auto path = folder.path() / "epoch.json";
  std::ofstream(path) << recipe.dump(2);
  const auto outcome = run_recipe(path.string(), {.shard = 2, .overrides = {"output=run"}});
  double tokens = 0;
  for (const auto& step : outcome.steps) tokens += step["tokens"].get<double>();
  // 42 pictures of 4 patches, begin, end and readout; 84 customers of at least 5 tokens; whole windows of 24 of the text.
  CHECK(tokens > 42 * 7 + 84 * 5 + 24 * 50);
  CHECK(outcome.result.step == static_cast<int64_t>(outcome.steps.size()));
}
