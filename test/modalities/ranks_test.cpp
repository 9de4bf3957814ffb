// The standing sentence: N ranks equal one rank.
#include <catch2/catch.hpp>

#include "support/same_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

struct Layout {
  int replicate, shard;
};

std::string write_recipe(const std::string& kind, const TempDir& folder) {
  return kind == "omni" ? write_omni_recipe(folder.path()) : write_moe_recipe(folder.path());
}

}  // namespace

TEST_CASE("ranks: losses of 20 steps and first gradients do not depend on the layout",
          "[modalities][ranks]") {
  const auto kind = GENERATE(std::string("omni"), std::string("moe"));
  TempDir folder;
  const auto recipe = write_recipe(kind, folder);
  const auto one = run_recipe(recipe, {.overrides = {"output=one"}, .keep_gradients = true});
  REQUIRE(one.steps.size() == 20);
  for (const auto layout : {Layout{1, 2}, Layout{2, 1}, Layout{1, 4}, Layout{4, 1}, Layout{2, 2}}) {
    INFO(kind << " replicate " << layout.replicate << " shard " << layout.shard);
    const auto many = run_recipe(recipe, {.replicate = layout.replicate,
                                          .shard = layout.shard,
                                          .overrides = {"output=many"},
                                          .keep_gradients = true});
    check_steps(many, one, "loss", 1e-6);
    check_gradients(many, one, 1e-5);
    check_evaluation(many, one, 1e-4);
    std::filesystem::remove_all(folder.path() / "many");
  }
}

TEST_CASE("ranks: parameters after SGD steps do not depend on the layout", "[modalities][ranks]") {
  const auto kind = GENERATE(std::string("omni"), std::string("moe"));
  TempDir folder;
  const auto recipe = write_recipe(kind, folder);
  const std::vector<std::string> sgd{R"(train.optimizer={"type":"sgd","lr":0.05})",
                                     "train.steps=5"};
  const auto with_output = [&](const std::string& output) {
    auto overrides = sgd;
    overrides.push_back("output=" + output);
    return overrides;
  };
  const auto one = run_recipe(recipe, {.overrides = with_output("one")});
  for (const auto layout : {Layout{1, 2}, Layout{2, 2}}) {
    INFO(kind << " replicate " << layout.replicate << " shard " << layout.shard);
    const auto output = fmt::format("many-{}-{}", layout.replicate, layout.shard);
    const auto many = run_recipe(
        recipe,
        {.replicate = layout.replicate, .shard = layout.shard, .overrides = with_output(output)});
    for (const auto& [name, values] : one.parameters) {
      INFO(name);
      CHECK(relative_difference(many.parameters.at(name), values) < 1e-6);
    }
  }
}

TEST_CASE("ranks: the same run twice gives the same bits", "[modalities][ranks]") {
  TempDir folder;
  const auto recipe = write_omni_recipe(folder.path());
  const auto a = run_recipe(recipe, {.shard = 2, .overrides = {"output=a", "train.steps=6"}});
  const auto b = run_recipe(recipe, {.shard = 2, .overrides = {"output=b", "train.steps=6"}});
  for (size_t s = 0; s < a.steps.size(); ++s) CHECK(a.steps[s]["loss"] == b.steps[s]["loss"]);
  for (const auto& [name, values] : a.parameters) CHECK(values.equal(b.parameters.at(name)));
}
