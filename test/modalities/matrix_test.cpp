// The standing sentence for every composition of axes up to 8 ranks: N ranks equal one rank.
#include <catch2/catch.hpp>
#include <fstream>

#include "parallel/plan/mesh_shape.h"
#include "support/same_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

Json read(const std::string& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

std::string write(const TempDir& folder, const Json& recipe) {
  const auto path = folder / "matrix.json";
  std::ofstream(path) << recipe.dump(1);
  return path.string();
}

/// Odd lengths, fewer key-value heads than ranks that share tokens, many tiny samples; packs that do not fill the lanes.
std::string recipe_of(const std::string& kind, const TempDir& folder) {
  Json recipe =
      read(kind == "omni" ? write_omni_recipe(folder.path()) : write_moe_recipe(folder.path()));
  const Json moe = read(write_moe_recipe(folder.path()))["model"]["base"];
  if (kind == "omni") recipe["model"]["base"] = moe;
  if (kind == "dense") {
    recipe["model"]["base"] =
        Json::parse(R"({"family": "qwen3", "hidden_size": 32, "intermediate_size": 48,
      "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8})");
    recipe["data"]["sources"][0]["sample_tokens"] = 5;
  }
  recipe["train"]["steps"] = 10;
  recipe["train"]["packs"] = 3;
  recipe["train"]["pack_tokens"] = 61;
  return write(folder, recipe);
}

std::vector<MeshShape> shapes(bool experts) {
  std::vector<MeshShape> all;
  for (const int replicate : {1, 2, 4})
    for (const int shard : {1, 2, 4})
      for (const int sequence : {1, 2, 4})
        for (const int expert : {1, 2, 4}) {
          const int world = replicate * shard * sequence;
          if (world == 1 || world > 8 || (shard * sequence) % expert != 0) continue;
          if (expert == 1 || experts) all.push_back({replicate, shard, sequence, expert});
        }
  return all;
}

void check_equal(const RunOutcome& many, const RunOutcome& one) {
  check_steps(many, one, "loss", 1e-5);
  check_steps(many, one, "grad_norm", 1e-5);
  check_gradients(many, one, 1e-5);
}

void check_matrix(const std::string& kind, bool accumulate, const std::string& device) {
  const TempDir folder;
  const auto recipe = recipe_of(kind, folder);
  const auto run = [&](const MeshShape& shape, const std::string& output) {
    return run_recipe(recipe, {.replicate = shape.replicate,
                               .shard = shape.shard,
                               .sequence = shape.sequence,
                               .expert = shape.expert,
                               .overrides = {"output=" + output},
                               .keep_gradients = true,
                               .accumulate = accumulate,
                               .device = device});
  };
  const auto one = run({.shard = 1}, "one");
  REQUIRE(one.steps.size() == 10);
  for (const auto& shape : shapes(kind != "dense")) {
    // Accumulating, the axes by themselves and all together will do.
    if (accumulate && shape.replicate * shape.copy_size() != 4 && shape.expert < 4) continue;
    INFO(kind << " " << shape.text() << (accumulate ? ", a pack at a time" : ""));
    check_equal(run(shape, "many"), one);
    std::filesystem::remove_all(folder / "many");
  }
}

}  // namespace

TEST_CASE("matrix: every replicate × shard × sequence × expert up to 8 ranks is one rank's run",
          "[modalities][matrix]") {
  const auto kind = GENERATE(std::string("dense"), std::string("moe"), std::string("omni"));
  const bool accumulate = GENERATE(false, true);
  check_matrix(kind, accumulate, "cpu");
}

TEST_CASE("matrix: on a GPU that the ranks share", "[.gpu]") {
  const auto kind = GENERATE(std::string("dense"), std::string("moe"), std::string("omni"));
  check_matrix(kind, false, "cuda");
}
