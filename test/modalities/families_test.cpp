// Models of every family trained fresh from a recipe.
#include <catch2/catch.hpp>
#include <set>

#include "core/data/sample.h"
#include "core/recipe/family.h"
#include "modalities/base/block_spec.h"
#include "support/tiny_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

/// Sizes for any family: those it has no key for are left out.
Json base_of(const Family& family) {
  Json base = {{"family", family.name},    {"hidden_size", 32},
               {"intermediate_size", 48},  {"num_hidden_layers", 2},
               {"num_attention_heads", 2}, {"max_position_embeddings", 32}};
  if (family.grouped_heads) base["num_key_value_heads"] = 1;
  if (family.needs_experts) base["num_experts"] = 4, base["num_experts_per_tok"] = 2;
  if (family.mlp_bias_key) base["mlp_bias"] = base["attention_bias"] = true;
  if (family.rotary) base["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 2.0}};
  return base;
}

RunOptions options(const Family& family, int shard) {
  return {.shard = shard,
          .overrides = {"model.base=" + base_of(family).dump(),
                        "train.steps=" + std::to_string(shard == 1 ? 12 : 2),
                        "output=run-" + std::to_string(shard)},
          .keep_gradients = true};
}

}  // namespace

TEST_CASE(
    "families: each trains fresh, has the parameters it describes, and on 2 ranks the same "
    "gradients",
    "[modalities][families]") {
  for (const Family& family : families()) {
    INFO(family.name);
    const TempDir folder;
    const auto path = write_moe_recipe(folder.path());
    const auto one = run_recipe(path, options(family, 1));
    REQUIRE(one.steps.size() == 12);
    CHECK(one.steps.back()["loss"].get<double>() < one.steps.front()["loss"].get<double>() - 0.05);

    const auto recipe = read_recipe(path, options(family, 1).overrides);
    const auto vocab = one.parameters.at("model.embed_tokens.weight").size(0);
    std::set<std::string> named;
    for (const auto& unit : describe_base(recipe.base, vocab, special_token_count(0), 0))
      for (const auto& parameter : unit.parameters) {
        INFO(parameter.name);
        named.insert(parameter.name);
        REQUIRE(one.parameters.count(parameter.name) == 1);
        CHECK(one.parameters.at(parameter.name).sizes() == at::IntArrayRef(parameter.shape));
      }
    CHECK(named.size() == one.parameters.size());

    const auto two = run_recipe(path, options(family, 2));
    for (const auto& [name, gradient] : one.gradients) {
      INFO(name);
      CHECK(relative_difference(two.gradients.at(name), gradient) < 1e-5);
    }
  }
}
