// A Hugging Face directory in, trained, and out again.
#include <catch2/catch.hpp>
#include <fstream>

#include "core/hugging_face/weights.h"
#include "runs/runs.h"
#include "support/paths.h"

using namespace veomni;
using namespace veomni::test;

namespace {

namespace fs = std::filesystem;

fs::path fixture(const std::string& name) {
  return fs::path(source_dir()) / ".." / "shared" / "fixtures" / "hf" / name;
}

/// Trains from `directory` with a learning rate that moves nothing.
std::string write_recipe(const TempDir& folder, const fs::path& directory,
                         const Json& base = Json::object()) {
  std::ofstream(folder / "text.txt") << std::string(2000, 'a') + std::string(2000, 'b');
  Json recipe = {
      {"name", "from"},
      {"model", {{"from", directory.string()}, {"decoders", {{"text", {{"type", "text"}}}}}}},
      {"tokenizer", "bytes"},
      {"data",
       {{"sources",
         {{{"name", "text"},
           {"format", "text"},
           {"path", "text.txt"},
           {"sample_tokens", 32},
           {"split", {{"train", {0.0, 1.0}}}},
           {"sample", {{{"part", "text"}, {"field", "text"}, {"learn", true}}}}}}}}},
      {"train", {{"steps", 1}, {"packs", 2}, {"pack_tokens", 64}, {"optimizer", {{"lr", 1e-30}}}}},
      {"output", "run"}};
  if (!base.empty()) recipe["model"]["base"] = base;
  std::ofstream(folder / "recipe.json") << recipe.dump(1);
  return (folder / "recipe.json").string();
}

std::vector<float> values_of(const HuggingFaceWeights& weights, const std::string& name) {
  int64_t count = 1;
  for (const int64_t size : weights.shape(name)) count *= size;
  std::vector<float> values(static_cast<size_t>(count));
  weights.read(name, 0, count, values.data());
  return values;
}

void check_same(const fs::path& a, const fs::path& b) {
  const HuggingFaceWeights first(a), second(b);
  REQUIRE(first.names() == second.names());
  for (const auto& name : first.names()) {
    INFO(name);
    CHECK(first.shape(name) == second.shape(name));
    CHECK(values_of(first, name) == values_of(second, name));
  }
}

}  // namespace

TEST_CASE("export: what was imported comes out bit for bit, whatever the ranks and files",
          "[runs][hugging_face]") {
  for (const char* name : {"llama_gqa_sharded", "qwen2_bias", "qwen3_moe"}) {
    if (!fs::exists(fixture(name))) {
      WARN("skipped: no fixtures beside the checkout");
      return;
    }
    for (const char* ranks : {"1", "2"}) {
      INFO(name << " on " << ranks);
      const TempDir folder;
      const auto trained =
          run_veomni({"train", write_recipe(folder, fixture(name)), "--ranks", ranks});
      INFO(trained.err);
      REQUIRE(trained.code == 0);
      const auto run = (folder / "run").string(), out = (folder / "hf").string();
      const auto exported = run_veomni({"export", run, out, "--shard-gigabytes", "0.0003"});
      INFO(exported.err);
      REQUIRE(exported.code == 0);
      CHECK(fs::exists(folder / "hf/model.safetensors.index.json"));
      check_same(fixture(name), out);
      const auto again = run_veomni({"export", run, out});
      CHECK(again.code == 2);
      CHECK_THAT(again.err, Catch::Contains("not empty"));
    }
  }
}

TEST_CASE("model.from: a base that the weights do not fit is refused at its key",
          "[runs][hugging_face]") {
  const TempDir folder;
  if (!fs::exists(fixture("llama_gqa"))) return;
  const auto wrong =
      run_veomni({"validate", write_recipe(folder, fixture("llama_gqa"), {{"hidden_size", 128}})});
  CHECK(wrong.code == 2);
  CHECK_THAT(wrong.err,
             Catch::Contains(
                 "model.base.hidden_size: 128, but the weights of model.from are made for 64"));
  const auto free = run_veomni(
      {"validate", write_recipe(folder, fixture("llama_gqa"), {{"initializer_range", 0.1}})});
  CHECK(free.code == 0);
  const auto absent = run_veomni({"validate", write_recipe(folder, folder.path() / "nowhere")});
  CHECK(absent.code == 2);
  CHECK_THAT(absent.err, Catch::Contains("config.json: no such file"));
}
