// train.groups through the program: a pretrained base that stays as it is, with new parts that learn.
#include <catch2/catch.hpp>
#include <fstream>

#include "core/hugging_face/weights.h"
#include "runs/runs.h"
#include "support/paths.h"
#include "support/temp_dir.h"
#include "support/tiny_recipes.h"

using namespace veomni;
using namespace veomni::test;

namespace {

namespace fs = std::filesystem;

fs::path stories() { return fs::path(source_dir()) / "recipes" / "data" / "stories260k"; }

/// The model of recipes/data/stories260k, which also reads customers and predicts their visits.
std::string write_recipe(const TempDir& folder, const Json& groups) {
  std::ofstream csv(folder / "customers.csv");
  csv << "age,city,visit\n";
  for (int i = 0; i < 80; ++i)
    csv << 20 + i % 50 << ',' << (i % 3 == 0 ? "Ulm" : "Bonn") << ',' << (i % 50 > 20) << '\n';
  Json changes = Json::parse(R"({
    "model": { "encoders": { "customer": { "type": "features", "hidden_size": 16, "rows": 16, "dim": 4,
                                           "columns": { "age": "number", "city": "category" } } },
               "heads": { "visit": { "type": "binary" } } },
    "data": { "sources": [
      { "name": "text", "format": "text", "path": "text.txt", "sample_tokens": 32,
        "split": { "train": [0.0, 1.0] }, "sample": [ { "part": "text", "field": "text", "learn": true } ] },
      { "name": "customers", "format": "csv", "path": "customers.csv", "split": { "train": [0.0, 1.0] },
        "sample": [ { "part": "customer" } ], "targets": { "visit": "visit" } } ] },
    "train": { "steps": 4 } })");
  changes["train"]["groups"] = groups;
  return write_from_recipe(folder.path(), stories(), changes);
}

std::vector<float> values_of(const HuggingFaceWeights& weights, const std::string& name) {
  const int64_t count = count_elements(weights.shape(name)).value();
  std::vector<float> values(static_cast<size_t>(count));
  weights.read(name, 0, count, values.data());
  return values;
}

const Json kFrozenBase = Json::parse(R"([ { "match": "base.*", "frozen": true } ])");

}  // namespace

TEST_CASE("groups: a frozen base is exported with the bits it came with", "[runs][groups]") {
  for (const char* ranks : {"1", "2"}) {
    INFO(ranks << " ranks");
    const TempDir folder;
    const auto recipe = write_recipe(folder, kFrozenBase);
    const auto trained = run_veomni({"train", recipe, "--ranks", ranks});
    INFO(trained.err);
    REQUIRE(trained.code == 0);
    CHECK_THAT(trained.err + trained.out, Catch::Contains(" trained, 260032 frozen)"));
    const auto out = (folder / "hf").string();
    const auto exported = run_veomni({"export", (folder / "run").string(), out});
    INFO(exported.err);
    REQUIRE(exported.code == 0);
    const HuggingFaceWeights before(stories()), after(out);
    for (const auto& name : before.names()) {
      INFO(name);
      CHECK(values_of(before, name) == values_of(after, name));
    }
    const auto lines = step_lines(folder / "run");
    REQUIRE(lines.size() == 4);
    CHECK(std::any_of(lines.begin(), lines.end(),
                      [](const Json& line) { return line["grad_norm"].get<double>() > 0; }));
    const auto more = run_veomni({"train", recipe, "--resume", "auto", "train.steps=5",
                                  "train.groups.0.match=base.layers.0.*", "--ranks", ranks});
    CHECK(more.code == 2);
    CHECK_THAT(more.err, Catch::Contains("is frozen in this checkpoint"));
    CHECK(std::count(more.err.begin(), more.err.end(), '\n') == 1);
  }
}

TEST_CASE("groups: validate counts them, and names a match that is none", "[runs][groups]") {
  const TempDir folder;
  const auto recipe = write_recipe(folder, kFrozenBase);
  const auto valid = run_veomni({"validate", recipe});
  CHECK(valid.code == 0);
  CHECK_THAT(valid.out, Catch::Contains("260.0 k frozen"));
  const auto wrong = run_veomni({"validate", recipe, "train.groups.0.match=bass.*"});
  CHECK(wrong.code == 2);
  CHECK_THAT(wrong.err,
             Catch::Contains("train.groups.0.match: no parameter matches 'bass.*'; did you mean "
                             "'base.*'?"));
}
