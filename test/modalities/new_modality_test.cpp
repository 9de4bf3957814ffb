// A modality of the tests' own trains beside the others; no file of the program knows it.
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "pulse/pulse.h"
#include "support/tiny_run.h"

using namespace veomni;
using namespace veomni::test;

namespace {

void register_pulse() {
  static const bool once = [] {
    specs().add(SpecRegistry::Kind::encoder, pulse_spec());  // the one line of modalities/all.cpp, for specs …
    encoders().add("pulse", make_pulse);                     // … and for the engine
    return true;
  }();
  (void)once;
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Pulses whose height tells whether they are calm.
void write_pulses(const std::filesystem::path& path) {
  std::ofstream file(path);
  for (int i = 0; i < 80; ++i) {
    const bool calm = i * 7 % 5 < 2;
    file << R"({"beats": [)";
    for (int b = 0; b < 3 + i % 9; ++b) file << (b ? "," : "") << (calm ? 0 : 2) + (b + i) % 2;
    file << R"(], "calm": )" << calm << "}\n";
  }
}

}  // namespace

TEST_CASE("a new modality: two files and one line, and it learns beside text and images", "[modalities][new]") {
  register_pulse();
  TempDir folder;
  auto recipe = Json::parse(read_text(write_omni_recipe(folder.path())));
  write_pulses(folder.path() / "pulses.jsonl");
  recipe["model"]["encoders"]["wrist"] = {{"type", "pulse"}};
  recipe["model"]["heads"]["calm"] = {{"type", "binary"}};
  recipe["data"]["sources"].push_back(Json::parse(R"({"name": "pulses", "format": "jsonl", "path": "pulses.jsonl",
    "weight": 3, "split": {"train": [0, 0.75], "eval": [0.75, 1]},
    "sample": [{"part": "wrist", "field": "beats"}], "targets": {"calm": "calm"}})"));
  const auto path = folder.path() / "with_pulse.json";
  std::ofstream(path) << recipe.dump(2);
  const auto outcome = run_recipe(path.string(), {.shard = 2, .overrides = {"output=run", "train.steps=60"}});
  CHECK(outcome.parameters.count("encoders.wrist.weight") == 1);
  CHECK(outcome.evaluation["pulses"]["auc"].get<double>() > 0.95);
}
