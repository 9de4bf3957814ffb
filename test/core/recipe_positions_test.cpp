// Positions and windows of model.base.
#include <catch2/catch.hpp>

#include "core/recipe/recipe.h"
#include "core/recipe/starter.h"
#include "recipe_fixture.h"

using namespace veomni;
using test::config_error;
using test::parse;

TEST_CASE("recipe: rope_scaling has transformers' keys, and lengths come from the model",
          "[core][recipe]") {
  const auto with = [](const std::string& scaling, const std::string& length = "512") {
    return parse(starter_recipe("text"), {"model.base.max_position_embeddings=" + length,
                                          "model.base.rope_scaling=" + scaling});
  };
  const auto yarn = with(R"({"rope_type": "yarn", "factor": 4})").base.rope_scaling;
  CHECK(yarn.original_max_position_embeddings == 512);
  CHECK(yarn.beta_fast == 32);
  const auto dynamic = with(R"({"rope_type": "dynamic", "factor": 2})");
  CHECK(dynamic.base.max_position_embeddings == 512);
  CHECK(parse(dynamic.resolved.dump()).resolved == dynamic.resolved);
  const auto error = [&](const std::string& scaling) {
    return config_error(
        [&] { parse(starter_recipe("text"), {"model.base.rope_scaling=" + scaling}); });
  };
  CHECK_THAT(error(R"({"rope_type": "dynamic", "factor": 2})"),
             Catch::Contains("missing key 'max_position_embeddings'"));
  CHECK_THAT(error(R"({"rope_type": "yarn", "factor": 2})"),
             Catch::Contains("missing key 'original_max_position_embeddings'"));
  CHECK_THAT(error(R"({"rope_type": "llama3", "factor": 2, "low_freq_factor": 1})"),
             Catch::Contains("missing key 'high_freq_factor'"));
  CHECK_THAT(error(R"({"rope_type": "longrope", "factor": 2})"),
             Catch::Contains("unknown rope_type 'longrope'"));
  CHECK_THAT(error(R"({"rope_type": "linear", "factor": 2, "beta_fast": 3})"),
             Catch::Contains("has no effect with rope_type 'linear'"));
}

TEST_CASE("recipe: sliding_window is of all layers, or of those that layer_types names",
          "[core][recipe][window]") {
  const std::string two = "model.base.num_hidden_layers=2", window = "model.base.sliding_window=8";
  const Recipe all = parse(starter_recipe("text"), {two, window});
  CHECK(all.base.sliding_window == 8);
  CHECK(all.base.layer_types.empty());
  const std::string types = R"(model.base.layer_types=["full_attention", "sliding_attention"])";
  const Recipe some = parse(starter_recipe("text"), {two, window, types});
  CHECK(some.base.layer_types == std::vector<std::string>{"full_attention", "sliding_attention"});
  CHECK(parse(some.resolved.dump()).resolved == some.resolved);
  const auto error = [&](const std::vector<std::string>& overrides) {
    return config_error([&] { parse(starter_recipe("text"), overrides); });
  };
  CHECK_THAT(error({"model.base.num_hidden_layers=3", window, types}),
             Catch::Contains("layer_types: has 2 entries, must have one for each of the 3 layers"));
  CHECK_THAT(error({two, types}), Catch::Contains("has no effect without sliding_window"));
  CHECK_THAT(error({two, window, R"(model.base.layer_types=["full_attention", "sliding"])"}),
             Catch::Contains("layer_types"));
  CHECK_THAT(error({"model.base.sliding_window=0"}), Catch::Contains("sliding_window"));
}
