#include "core/recipe/recipe.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "core/recipe/starter.h"
#include "core/recipe/summary.h"
#include "core/registry.h"
#include "core/suggest.h"
#include "recipe_fixture.h"
#include "support/paths.h"

using namespace veomni;
using test::config_error;
using test::omni_recipe;
using test::parse;
using test::replaced;

TEST_CASE("recipe: values and defaults reach the struct", "[core][recipe]") {
  const Recipe recipe = parse(omni_recipe());
  CHECK(recipe.name == "omni");
  CHECK(recipe.seed == 7);
  CHECK(recipe.base.family == "qwen3");
  CHECK(recipe.base.qk_norm);
  CHECK_FALSE(recipe.base.attention_bias);
  CHECK(recipe.base.head_dim == 32);
  CHECK(recipe.base.num_key_value_heads == 2);
  CHECK(recipe.base.vocab_size == 0);
  REQUIRE(recipe.tables.size() == 1);
  CHECK(recipe.tables[0].hash == "xxh64");
  REQUIRE(recipe.encoders.size() == 2);
  CHECK(recipe.encoders[0].name == "photo");
  CHECK(recipe.encoders[0].type == "image");
  CHECK(recipe.encoders[0].keys["hidden_size"].is_number_integer());
  CHECK(recipe.heads[2].keys["given"] == "visit");
  CHECK(recipe.loss_weights.at("spend") == 0.1);
  CHECK(recipe.loss_weights.at("text") == 1.0);
  CHECK(recipe.train.optimizer.lr == 2e-3);
  CHECK(recipe.train.optimizer.beta2 == 0.95);
  CHECK(recipe.train.schedule.final == 0.1);
  CHECK(recipe.train.workers == 1);
  CHECK(recipe.eval.every == 50);
  CHECK(recipe.parallel.shard == 0);
  CHECK(recipe.checkpoint.keep == 2);
  CHECK(recipe.output == "/r/runs/omni");
  CHECK(recipe.path == "/r/recipe.json");
}

TEST_CASE("recipe: sources carry their splits, segments, targets and options", "[core][recipe]") {
  const Recipe recipe = parse(omni_recipe());
  REQUIRE(recipe.sources.size() == 3);
  const SourceConfig &book = recipe.sources[0], &pictures = recipe.sources[1],
                     &customers = recipe.sources[2];
  CHECK(book.weight == 2);
  CHECK(book.train.end == 0.9);
  REQUIRE(book.eval.has_value());
  CHECK(book.eval->begin == 0.9);
  CHECK(book.paths == std::vector<std::string>{"/r/data/book.txt"});
  CHECK(book.keys["sample_tokens"] == 1024);
  CHECK(book.sample[0].learn);
  CHECK_FALSE(pictures.eval.has_value());
  CHECK(pictures.keys["labels"] == "/r/data/labels.gz");
  CHECK(pictures.targets[0].keys.dump() == R"({"field":"label"})");
  CHECK(customers.keys["delimiter"] == ",");
  CHECK(customers.keys["header"] == true);
  CHECK(customers.keys["missing"].dump() == R"([""])");
  CHECK(customers.targets[1].field == "conversion");
  CHECK(customers.targets[1].keys["positive"].size() == 2);
  CHECK(customers.group == "zip_code");
}

TEST_CASE("recipe: the resolved recipe read again gives the same text", "[core][recipe]") {
  for (const std::string& text : {omni_recipe(), starter_recipe("text"), starter_recipe("images"),
                                  starter_recipe("recommend"), starter_recipe("omni")}) {
    const Recipe first = parse(text);
    const std::string resolved = first.resolved.dump(2);
    const Recipe second = parse_recipe(resolved, "/elsewhere/run.json", {});
    CHECK(second.resolved.dump(2) == resolved);
    CHECK(second.sources[0].paths == first.sources[0].paths);
    CHECK(second.output == first.output);
  }
}

TEST_CASE("recipe: experts take their defaults, and the resolved form keeps them",
          "[core][recipe]") {
  const std::string text =
      replaced(starter_recipe("text"), R"("family": "llama",)",
               R"("family": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2,)");
  const Recipe recipe = parse(text);
  CHECK(recipe.base.moe_intermediate_size == 344);
  CHECK(recipe.base.norm_topk_prob);
  CHECK(recipe.base.router_aux_loss_coef == 0.001);
  CHECK(recipe.base.balance == "step");
  CHECK(parse(recipe.resolved.dump()).resolved == recipe.resolved);
}

TEST_CASE("recipe: a family's defaults give way to explicit keys", "[core][recipe]") {
  const auto with = [](const std::string& keys) {
    return parse(replaced(starter_recipe("text"), R"("family": "llama",)", keys)).base;
  };
  CHECK(with(R"("family": "qwen2",)").attention_bias);
  CHECK_FALSE(with(R"("family": "qwen2", "attention_bias": false,)").attention_bias);
  CHECK(with(R"("family": "qwen3",)").qk_norm);
  CHECK_FALSE(with("").qk_norm);
  CHECK(with(R"("head_dim": 16,)").head_dim == 16);
}

TEST_CASE("recipe: GPT-2 and GPT-NeoX fill in what their classes always have", "[core][recipe]") {
  const auto with = [](const std::string& base, const std::vector<std::string>& overrides = {}) {
    auto all = overrides;
    all.insert(all.begin(), "model.base=" + base);
    return parse(starter_recipe("text"), all);
  };
  const std::string sizes =
      R"("hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4)";
  const Recipe gpt2 = with(R"({"family": "gpt2", )" + sizes + "}");
  CHECK(gpt2.base.intermediate_size == 512);
  CHECK(gpt2.base.num_key_value_heads == 4);
  CHECK(gpt2.base.head_dim == 32);
  CHECK(gpt2.base.rope_theta == 0);
  CHECK(gpt2.base.max_position_embeddings == 1024);
  CHECK(gpt2.base.hidden_act == "gelu_new");
  CHECK((gpt2.base.attention_bias && gpt2.base.mlp_bias));
  CHECK(parse(gpt2.resolved.dump()).resolved == gpt2.resolved);
  const Recipe neox = with(R"({"family": "gpt_neox", )" + sizes + "}");
  CHECK(neox.base.rotary_pct == 0.25);
  CHECK(neox.base.use_parallel_residual);
  CHECK(neox.base.norm_eps == 1e-5);
  const auto error = [&](const std::string& base, const std::string& override_ = "seed=1") {
    return config_error([&] { with(base, {override_}); });
  };
  CHECK_THAT(error(R"({"family": "gpt2", "rope_theta": 10000, )" + sizes + "}"),
             Catch::Contains("has no effect with family 'gpt2'"));
  CHECK_THAT(error(R"({"family": "gpt2", "max_position_embeddings": 100, )" + sizes + "}"),
             Catch::Contains("256 is more than model.base.max_position_embeddings = 100"));
  CHECK_THAT(error(R"({"family": "gpt_neox", "rotary_pct": 0.1, )" + sizes + "}"),
             Catch::Contains("rotary_pct: 0.1 of a head of 32 is 3 dims"));
  CHECK_THAT(error(R"({"family": "gpt2", "hidden_size": 128, "num_hidden_layers": 2,
                       "num_attention_heads": 5})"),
             Catch::Contains("hidden_size / 5 = 128/5 must be an even integer"));
}

TEST_CASE("recipe: overrides reach any path, by index or by name", "[core][recipe]") {
  const Recipe recipe =
      parse(omni_recipe(), {"train.steps=9", "train.schedule.warmup=1", "name=other run",
                            "data.sources.0.weight=5", "data.sources.pictures.weight=6",
                            "data.sources.customers.path=\"a.csv\"", "checkpoint.every=3",
                            "train.optimizer={\"type\": \"sgd\", \"momentum\": 0.5}",
                            "train.optimizer.lr=0.25", "output=/tmp/x", "train.pack_tokens=2e3"});
  CHECK(recipe.train.steps == 9);
  CHECK(recipe.name == "other run");
  CHECK(recipe.sources[0].weight == 5);
  CHECK(recipe.sources[1].weight == 6);
  CHECK(recipe.sources[2].paths[0] == "/r/a.csv");
  CHECK(recipe.checkpoint.every == 3);
  CHECK(recipe.train.optimizer.type == "sgd");
  CHECK(recipe.train.optimizer.momentum == 0.5);
  CHECK(recipe.train.optimizer.lr == 0.25);
  CHECK(recipe.output == "/tmp/x");
  CHECK(recipe.train.pack_tokens == 2000);
  CHECK(recipe.resolved["train"]["pack_tokens"].is_number_integer());
}

TEST_CASE("recipe: text can be named relative to the recipe's own folder", "[core][recipe]") {
  test::ensure_specs();
  const test::RecipeFolder folder;
  const std::string path = folder.write("recipe.json", omni_recipe());
  const Recipe recipe = read_recipe(path, {});
  CHECK(recipe.sources[0].paths[0] == (folder.path() / "data/book.txt").string());
  CHECK(recipe.output == (folder.path() / "runs/omni").string());
  CHECK(folder.listing().size() == 6);  // reading writes nothing
}

TEST_CASE("recipe: parameter counts are those of a hand count", "[core][recipe]") {
  BaseConfig base;
  base.hidden_size = 8;
  base.intermediate_size = 16;
  base.num_hidden_layers = 2;
  base.num_attention_heads = 4;
  base.num_key_value_heads = 2;
  base.head_dim = 2;
  // q 8×8, k and v 4×8 each, o 8×8, two norms of 8, gate, up and down 16×8 each; a final norm of 8
  CHECK(base_parameter_count(base) == 2 * (64 + 32 + 32 + 64 + 16 + 3 * 128) + 8);
  base.attention_bias = base.qk_norm = true;
  base.num_experts = 3;
  base.moe_intermediate_size = 4;
  // biases 8 + 4 + 4 and 8 on o, q/k norms 2 + 2; experts 3 × 3 × 4×8 and a router 3×8 instead of
  // the dense layer
  CHECK(base_parameter_count(base) == 2 * (64 + 32 + 32 + 64 + 16 + 24 + 4 + 288 + 24) + 8);
  CHECK(short_count(999) == "999");
  CHECK(short_count(1234567) == "1.2 M");
}

TEST_CASE("recipe: the summary counts what specs describe", "[core][recipe]") {
  const Recipe recipe = parse(replaced(omni_recipe(), R"({ "type": "revenue",)",
                                       R"({ "type": "picky_for_tests", "size": 4,)"));
  const Json summary = summarize(recipe);
  CHECK(summary["heads"][3]["parameters"] == 4 * 128 + 4);
  const std::string line = summary_line(summary);
  CHECK_THAT(line, Catch::Contains("omni: valid; base qwen3 4 × 128"));
  CHECK_THAT(line, Catch::Contains("spend (picky_for_tests, 516)"));
  CHECK(line.find('\n') == std::string::npos);
}

TEST_CASE("recipe: the schema closes every object and knows every part type", "[core][recipe]") {
  test::ensure_specs();
  const Json schema = recipe_schema();
  CHECK(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema");
  CHECK(schema["required"].dump() == R"(["model","data","train"])");
  CHECK(schema["additionalProperties"] == false);
  const Json& train = schema["properties"]["train"]["properties"];
  CHECK(train["packs"]["minimum"] == 1);
  CHECK(train["precision"]["enum"].dump() == R"(["fp32","bf16"])");
  CHECK(train["dropout"]["exclusiveMaximum"] == 1.0);
  CHECK(train["groups"]["items"]["required"].dump() == R"(["match"])");
  CHECK(train["groups"]["items"]["additionalProperties"] == false);
  CHECK_FALSE(train.contains("objectives"));
  const Json& heads =
      schema["properties"]["model"]["properties"]["heads"]["additionalProperties"]["oneOf"];
  CHECK(heads.size() == specs().all(SpecRegistry::Kind::head).size());
  for (const Json& head : heads) {
    CHECK(head["required"].dump().find("\"type\"") != std::string::npos);
    CHECK(head["properties"].contains("given"));
    CHECK(head["additionalProperties"] == false);
  }
}

TEST_CASE("suggest: near names are offered, far ones listed", "[core][recipe]") {
  CHECK(edit_distance("stepz", "steps") == 1);
  CHECK(edit_distance("setps", "steps") == 1);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(closest("wieght", {"weight", "width"}) == "weight");
  CHECK(closest("banana", {"weight", "width"}).empty());
  CHECK(did_you_mean("banana", {"a", "b"}) == "; known: a, b");
  CHECK(did_you_mean("banana", {}).empty());
}

TEST_CASE("registry: makes by name, refuses unknown and repeated names", "[core][recipe]") {
  struct Shape {
    explicit Shape(int count) : corners(count) {}
    virtual ~Shape() = default;
    int corners;
  };
  Registry<Shape, int> shapes("shape");
  shapes.add("square", [](int n) { return std::make_unique<Shape>(n); });
  CHECK(shapes.make("square", 4)->corners == 4);
  CHECK(config_error([&] { shapes.make("squaer", 4); }) ==
        "unknown shape 'squaer'; did you mean 'square'?");
  CHECK_THROWS_AS(shapes.add("square", nullptr), Error);
}

TEST_CASE("specs: a type is added once and found by kind", "[core][recipe]") {
  SpecRegistry registry;
  registry.add(SpecRegistry::Kind::encoder, {.type = "video", .doc = "", .keys = {}});
  CHECK(registry.get(SpecRegistry::Kind::encoder, "video").type == "video");
  CHECK(registry.find(SpecRegistry::Kind::head, "video") == nullptr);
  CHECK(config_error([&] { registry.get(SpecRegistry::Kind::encoder, "vidoe"); }) ==
        "unknown encoder 'vidoe'; did you mean 'video'?");
  CHECK_THROWS_AS(
      registry.add(SpecRegistry::Kind::encoder, {.type = "video", .doc = "", .keys = {}}), Error);
}

TEST_CASE("recipe: every shipped recipe is valid", "[core][recipe]") {
  test::ensure_specs();
  int count = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(test::source_dir() + "/recipes")) {
    const auto& path = entry.path();
    if (path.extension() != ".json" || path.string().find("/data/") != std::string::npos) continue;
    INFO(path.string());
    CHECK_NOTHROW(read_recipe(path.string(), {}));
    ++count;
  }
  CHECK(count >= 8);
}
