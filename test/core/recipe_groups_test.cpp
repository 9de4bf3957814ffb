// train.groups in recipes: which parameter belongs to which group, and what is said of it.
#include "core/recipe/model_parameters.h"
#include "core/recipe/summary.h"
#include "recipe_rows.h"

using namespace veomni;
using test::omni_recipe;
using test::parse;
using test::replaced;

namespace {

std::string with_groups(const std::string& groups) {
  return replaced(omni_recipe(), R"("steps": 300)", R"("steps": 300, "groups": )" + groups);
}

bool named(const std::string& match, const std::string& parameter) {
  return matches({.match = match}, parameter);
}

struct WrongGroups {
  std::string groups, at, expected;
};

/// The list, where the error stands in it, and the error.
const std::vector<WrongGroups> kWrong{
    {R"([ { "match": "encoders.phto.*", "frozen": true } ])", R"("encoders.phto.*")",
     "train.groups.0.match: no parameter matches 'encoders.phto.*'; did you mean "
     "'encoders.photo.*'?"},
    {R"([ { "match": "heads.lable.weight", "lr": 1 } ])", R"("heads.lable.weight")",
     "did you mean 'heads.label.output.weight'?"},
    {R"([ { "match": "*.lora", "lr": 1 } ])", R"("*.lora")",
     "no parameter matches '*.lora'; known: base.*, encoders.*, heads.*, model.*, tables.*"},
    {R"([ { "match": "base.*", "lr": 1 }, { "match": "base.norm.*", "lr": 2 } ])",
     R"("base.norm.*")",
     "train.groups.1.match: every parameter that matches 'base.norm.*' belongs to an earlier "
     "group"},
    {R"([ { "match": "base.*" } ])", "{", "train.groups.0: does nothing; give"},
    {R"([ { "match": "base.*", "frozen": false } ])", "{", "train.groups.0: does nothing"},
    {R"([ { "match": "base.*", "frozen": true, "lr": 1 } ])", R"("lr")",
     "train.groups.0.lr: has no effect on frozen parameters; remove it, or frozen"},
    {R"([ { "match": "base.*", "frozen": true, "weight_decay": 0 } ])", R"("weight_decay")",
     "train.groups.0.weight_decay: has no effect on frozen parameters"},
    {R"([ { "match": "*.bias", "weight_decay": 1 } ])", R"("weight_decay")",
     "train.groups.0.weight_decay: has no effect: norms, biases, embeddings and tables"},
    {R"([ { "match": "*", "frozen": true } ])", R"("groups")",
     "train.groups: every parameter is frozen, so nothing would be trained"},
    {R"([ { "frozen": true } ])", "{", "train.groups.0: missing key 'match'"},
    {R"([ { "match": "", "frozen": true } ])", R"("")", "train.groups.0.match: must not be empty"},
    {R"([ { "match": "base.*", "lr": -1 } ])", "-1", "train.groups.0.lr: must be at least 0"},
    {R"([ { "match": "base.*", "lrr": 1 } ])", R"("lrr")",
     "train.groups.0.lrr: unknown key; did you mean 'lr'?"},
    {R"([ { "match": "base.*", "frozen": 1 } ])", "1 }",
     "train.groups.0.frozen: must be true or false, not 1"},
    {R"({ "match": "base.*" })", "{", "train.groups: must be a list"},
};

}  // namespace

TEST_CASE("groups: '*' stands for any characters, everything else for itself",
          "[core][recipe][groups]") {
  CHECK(named("*", "encoders.photo.patch_embed.weight"));
  CHECK(named("encoders.photo.*", "encoders.photo.patch_embed.weight"));
  CHECK_FALSE(named("encoders.photo.*", "encoders.photograph.weight"));
  CHECK(named("*.bias", "encoders.photo.patch_embed.bias"));
  CHECK_FALSE(named("*.bias", "encoders.photo.bias.weight"));
  CHECK(named("encoders.*.layers.*.weight", "encoders.photo.layers.0.mlp.down_proj.weight"));
  CHECK(named("a*b*c", "axbxbxc"));
  CHECK_FALSE(named("a*b*c", "axbxbx"));
  CHECK(named("tables.zip", "tables.zip"));
  CHECK_FALSE(named("tables.zip", "tables.zipper"));
  CHECK_FALSE(named("", "tables.zip"));
  CHECK(named("**", ""));
}

TEST_CASE("groups: base is what a model directory has of it, not the boundary tokens",
          "[core][recipe][groups]") {
  for (const char* name : {"model.embed_tokens.weight", "model.layers.3.mlp.down_proj.weight",
                           "model.norm.weight", "lm_head.weight"}) {
    INFO(name);
    CHECK(named("base.*", name));
    CHECK(named(name, name));
  }
  CHECK(named("base.layers.3.*", "model.layers.3.mlp.down_proj.weight"));
  CHECK(named("base.lm_head.weight", "lm_head.weight"));
  for (const char* name :
       {"model.special_tokens.weight", "task_log_variances", "tables.zip", "heads.label.weight"}) {
    INFO(name);
    CHECK_FALSE(named("base.*", name));
    CHECK(group_name(name) == name);
  }
}

TEST_CASE("groups: the first that matches counts; defaults and overrides are resolved",
          "[core][recipe][groups]") {
  const std::string text = with_groups(
      R"([ { "match": "encoders.photo.projector.*", "lr": 1e-4 }, { "match": "encoders.photo.*", "frozen": true },
           { "match": "tables.zip", "lr": 0.5 }, { "match": "base.*", "weight_decay": 0 } ])");
  const Recipe recipe = parse(text, {"train.groups.0.lr=3e-4"});
  const auto& groups = recipe.train.groups;
  REQUIRE(groups.size() == 4);
  CHECK(groups[0].lr == 3e-4);
  CHECK_FALSE(groups[0].frozen);
  CHECK_FALSE(groups[0].weight_decay.has_value());
  CHECK(groups[3].weight_decay == 0.0);
  CHECK(group_of(groups, "encoders.photo.projector.weight") == 0);
  CHECK(group_of(groups, "encoders.photo.norm.weight") == 1);
  CHECK(group_of(groups, "model.layers.0.mlp.down_proj.weight") == 3);
  CHECK(group_of(groups, "heads.label.weight") == kNoGroup);
  CHECK_FALSE(is_frozen(groups, "encoders.photo.projector.weight"));
  CHECK(is_frozen(groups, "encoders.photo.norm.weight"));
  CHECK(recipe.resolved["train"]["groups"][0].dump() ==
        R"({"match":"encoders.photo.projector.*","frozen":false,"lr":0.0003})");
  const Recipe again = parse(recipe.resolved.dump());
  CHECK(again.resolved == recipe.resolved);
  CHECK(parse(omni_recipe()).resolved["train"]["groups"] == Json::array());
}

TEST_CASE("groups: the summary counts what is trained and what is frozen",
          "[core][recipe][groups]") {
  const Json all = summarize(parse(omni_recipe()));
  CHECK(all["parameters"]["frozen"] == 0);
  CHECK_THAT(summary_line(all), !Catch::Contains("frozen"));
  const auto trained = all["parameters"]["trained"].get<int64_t>();
  const Json some = summarize(parse(with_groups(R"([ { "match": "base.*", "frozen": true } ])")));
  const auto base =
      some["base"]["parameters"].get<int64_t>();  // without the embedding: nor is it counted here
  CHECK(some["parameters"]["frozen"] == base);
  CHECK(some["parameters"]["trained"] == trained - base);
  CHECK_THAT(summary_line(some), Catch::Contains("; trains " + short_count(trained - base) + ", " +
                                                 short_count(base) + " frozen"));
  const Json table =
      summarize(parse(with_groups(R"([ { "match": "tables.*", "frozen": true } ])")));
  CHECK(table["parameters"]["frozen"] == 1000 * 16);
}

TEST_CASE("groups: what is wrong is named where it stands", "[core][recipe][groups]") {
  std::vector<test::Row> rows;
  for (const auto& [groups, at, expected] : kWrong)
    rows.push_back({R"("steps": 300)", R"("steps": 300, "groups": )" + groups, at, expected});
  test::check_rows(rows);
}
