// Ulysses: ranks that share the tokens of a pack compute what one rank does.
#include <catch2/catch.hpp>
#include <fstream>

#include "support/same_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

std::string write_recipe(const std::string& kind, const TempDir& folder) {
  return kind == "omni" ? write_omni_recipe(folder.path()) : write_moe_recipe(folder.path());
}

struct Layout {
  int replicate, shard, sequence;
};

void check_equal(const RunOutcome& many, const RunOutcome& one) {
  check_steps(many, one, "loss", 1e-5);
  check_steps(many, one, "grad_norm", 1e-5);
  check_gradients(many, one, 1e-5);
  check_evaluation(many, one, 1e-4);
}

}  // namespace

TEST_CASE("sequence: losses of 10 steps and first gradients are one rank's",
          "[modalities][sequence]") {
  const auto kind = GENERATE(std::string("omni"), std::string("moe"));
  const auto overlap = GENERATE(std::string("true"), std::string("false"));
  TempDir folder;
  const auto recipe = write_recipe(kind, folder);
  const std::vector<std::string> short_run{"train.steps=10", "train.schedule.warmup=2",
                                           "train.packs=3", "parallel.overlap=" + overlap};
  const auto run = [&](const std::string& output, const Layout& layout) {
    auto overrides = short_run;
    overrides.push_back("output=" + output);
    return run_recipe(recipe, {.replicate = layout.replicate,
                               .shard = layout.shard,
                               .sequence = layout.sequence,
                               .overrides = overrides,
                               .keep_gradients = true});
  };
  const auto one = run("one", {1, 1, 1});
  for (const auto& layout : {Layout{1, 2, 1}, Layout{2, 1, 1}, Layout{1, 1, 2}, Layout{1, 1, 4},
                             Layout{1, 2, 2}, Layout{2, 1, 2}}) {
    INFO(kind << " replicate " << layout.replicate << " shard " << layout.shard << " sequence "
              << layout.sequence << " overlap " << overlap);
    check_equal(run("many", layout), one);
    std::filesystem::remove_all(folder.path() / "many");
  }
}

TEST_CASE("sequence: one sample of 8,191 tokens, which no axis divides, is one rank's",
          "[modalities][sequence]") {
  TempDir folder;
  const auto recipe = write_moe_recipe(folder.path());
  std::string text;
  for (int i = 0; i < 40000; ++i) text += static_cast<char>('a' + (i * i / 7 + i) % 23);
  std::ofstream(folder / "text.txt") << text;
  const auto window = GENERATE(std::string(), std::string("1000"));
  std::vector<std::string> overrides{R"(data.sources=[{"name": "long", "format": "text",
    "path": "text.txt", "sample_tokens": 8191, "sample": [{"part": "text", "field": "text", "learn": true}]}])",
                                     "train.pack_tokens=8191", "train.packs=2", "train.steps=2",
                                     "model.base.num_hidden_layers=1"};
  if (!window.empty()) {
    overrides.push_back("model.base.sliding_window=" + window);
    overrides.push_back("model.base.num_key_value_heads=4");  // two ranks take theirs in groups
  }
  const auto run = [&](const std::string& output, RunOptions options) {
    options.overrides = overrides;
    options.overrides.push_back("output=" + output);
    options.keep_gradients = true;
    return run_recipe(recipe, options);
  };
  const auto one = run("one", {});
  CHECK(one.steps.at(0)["tokens"] == 2 * 8191);
  int number = 0;
  for (const RunOptions& options :
       {RunOptions{.sequence = 2}, RunOptions{.sequence = 4, .expert = 4},
        RunOptions{.shard = 2, .sequence = 2, .expert = 2}}) {
    INFO("window '" << window << "', layout " << number);
    const auto many = run("many" + std::to_string(number++), options);
    check_steps(many, one, "loss", 1e-5);
    check_steps(many, one, "grad_norm", 1e-5);
    check_gradients(many, one, 1e-5);
  }
}
