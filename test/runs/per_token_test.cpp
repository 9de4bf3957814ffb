// `veomni eval --per-token`: the loss of every learned token, of imported weights and of weighted samples.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <fstream>

#include "core/checkpoint/safetensors.h"
#include "core/report/json_lines.h"
#include "runs/runs.h"
#include "support/paths.h"
#include "support/temp_dir.h"
#include "support/tiny_recipes.h"

using namespace veomni;
using namespace veomni::test;

namespace {

namespace fs = std::filesystem;

fs::path fixture(const std::string& name) {
  return fs::path(source_dir()) / ".." / "shared" / "fixtures" / "hf" / name;
}

/// Rows [B, L] of a fixture's tensor.
template <class Value>
std::vector<std::vector<Value>> rows_of(const SafetensorsFile& file, const std::string& name) {
  const auto& tensor = file.get(name);
  const auto width = static_cast<size_t>(tensor.shape.at(1));
  std::vector<std::vector<Value>> rows(static_cast<size_t>(tensor.shape.at(0)),
                                       std::vector<Value>(width));
  for (size_t r = 0; r < rows.size(); ++r)
    std::memcpy(rows[r].data(), static_cast<const Value*>(tensor.data) + r * width,
                width * sizeof(Value));
  return rows;
}

/// The fixture's rows as a recipe's held-back half; the other half is never read.
std::string write_tokens_recipe(const TempDir& folder, const std::string& name,
                                const SafetensorsFile& reference) {
  const auto ids = rows_of<int64_t>(reference, "input_ids"),
             labels = rows_of<int64_t>(reference, "labels");
  std::ofstream lines(folder / "rows.jsonl");
  for (size_t i = 0; i < 2 * ids.size(); ++i)
    lines << Json{{"input_ids", ids[i % ids.size()]}, {"labels", labels[i % ids.size()]}} << "\n";
  lines.close();
  const Json source = {{"name", "rows"},
                       {"format", "tokens"},
                       {"path", "rows.jsonl"},
                       {"split", {{"train", {0, 0.5}}, {"eval", {0.5, 1}}}},
                       {"sample", Json::array({{{"part", "text"}, {"learn", true}}})}};
  return write_from_recipe(
      folder.path(), fixture(name),
      {{"tokenizer", nullptr}, {"data", {{"sources", Json::array({source})}}}});
}

void check_against(const std::vector<Json>& lines, const SafetensorsFile& reference,
                   double tolerance) {
  const auto labels = rows_of<int64_t>(reference, "labels");
  const auto losses = rows_of<float>(reference, "token_loss");
  REQUIRE(lines.size() == losses.size());
  for (size_t r = 0; r < lines.size(); ++r) {
    CHECK(lines[r]["source"] == "rows");
    CHECK(lines[r]["index"] == r + losses.size());
    size_t next = 0;
    for (size_t t = 1; t < labels[r].size(); ++t) {
      if (labels[r][t] == -100) continue;
      const Json& token = lines[r]["tokens"].at(next++);
      CHECK(token["position"] == t);
      CHECK(token["id"] == labels[r][t]);
      CHECK(token["loss"].get<double>() == Approx(losses[r][t - 1]).margin(tolerance));
    }
    CHECK(next == lines[r]["tokens"].size());
  }
}

}  // namespace

TEST_CASE("eval --per-token: an untrained import has transformers' token losses, on any ranks",
          "[runs][eval][hugging_face]") {
  for (const char* name : {"llama_gqa", "qwen3_moe"}) {
    if (!fs::exists(fixture(name))) {
      WARN("skipped: no fixtures beside the checkout");
      return;
    }
    const SafetensorsFile reference(fixture(name) / "reference.safetensors");
    const TempDir folder;
    const auto recipe = write_tokens_recipe(folder, name, reference);
    const auto file = (folder / "losses.jsonl").string();
    for (const char* ranks : {"1", "2", "4"}) {
      INFO(name << " on " << ranks);
      const auto done =
          run_veomni({"eval", recipe, "--per-token", file, "--ranks", ranks, "--json"});
      INFO(done.err);
      REQUIRE(done.code == 0);
      CHECK(Json::parse(done.out)["step"] == 0);
      CHECK_THAT(done.err, Catch::Contains("the weights are those of"));
      check_against(read_json_lines(file), reference, 5e-5);
    }
    CHECK(!fs::exists(folder / "run"));
  }
}

TEST_CASE("eval: losses of weighted texts are weighted means, as in training", "[runs][eval]") {
  const TempDir folder;
  std::ofstream lines(folder / "texts.jsonl");
  const std::vector<std::pair<std::string, int>> texts{{"aab", 5}, {"zyxw", 1}, {"a", 0}};
  for (int half = 0; half < 2; ++half)
    for (const auto& [text, weight] : texts)
      lines << Json{{"text", text + "ab"}, {"importance", weight}} << "\n";
  lines.close();
  std::ofstream(folder / "weighted.json") << R"({
  "model": { "base": { "family": "llama", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
                       "num_attention_heads": 2, "initializer_range": 0.5 },
             "decoders": { "text": { "type": "text" } } },
  "tokenizer": "bytes",
  "data": { "sources": [ { "name": "texts", "format": "jsonl", "path": "texts.jsonl", "sample_weight": "importance",
    "split": { "train": [0, 0.5], "eval": [0.5, 1] },
    "sample": [ { "part": "text", "field": "text", "learn": true } ] } ] },
  "train": { "epochs": 1, "packs": 1, "pack_tokens": 64, "optimizer": { "lr": 1e-30 } },
  "output": "run" })";
  REQUIRE(run_veomni({"train", (folder / "weighted.json").string()}).code == 0);
  const auto file = (folder / "losses.jsonl").string();
  const auto run = (folder / "run").string();
  const auto done = run_veomni({"eval", run, "--per-token", file, "--json"});
  REQUIRE(done.code == 0);
  double sum = 0, weights = 0;
  const auto samples = read_json_lines(file);
  REQUIRE(samples.size() == texts.size());
  for (size_t i = 0; i < texts.size(); ++i)
    for (const Json& token : samples[i]["tokens"]) {
      CHECK(token["loss"] > 0);  // also where the weight is 0
      sum += texts[i].second * token["loss"].get<double>();
      weights += texts[i].second;
    }
  const double loss = Json::parse(done.out)["eval"]["texts"]["loss"];
  CHECK(loss == Approx(sum / weights).epsilon(1e-6));
  CHECK(step_lines(run).at(0)["loss"].get<double>() == Approx(loss).epsilon(1e-6));
  const auto refused = run_veomni({"eval", run, "--per-token", (folder / "no/where").string()});
  CHECK(refused.code == 2);
  CHECK_THAT(refused.err, Catch::Contains("cannot be written"));
}
