// The shipped recipes, made small and short, by processes of MPI: N ranks equal one rank.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "runs/runs.h"
#include "support/paths.h"

using namespace veomni;
using namespace veomni::test;

namespace {

/// `--ranks` where mpirun is false.
struct Layout {
  int replicate, shard, sequence, expert;
  bool mpirun;
};

struct Shrunk {
  std::string recipe;
  std::vector<std::string> overrides;
  std::vector<Layout> layouts;
};

std::vector<std::string> small(const std::vector<std::string>& more) {
  std::vector<std::string> overrides{
      "train.steps=20",
      "train.packs=4",
      "train.pack_tokens=256",
      "train.schedule.warmup=2",
      "eval={}",
      "checkpoint={}",
      "model.base.hidden_size=32",
      "model.base.num_hidden_layers=2",
      R"(data.sources.0.split={"train":[0,0.1],"eval":[0.99,1]})",
  };
  overrides.insert(overrides.end(), more.begin(), more.end());
  return overrides;
}

const Shrunk kOmni{"quickstart.json",
                   small({"model.base.intermediate_size=48", "model.base.head_dim=8",
                          R"(data.sources.1.split={"train":[0,0.1],"eval":[0.99,1]})",
                          R"(data.sources.2.split={"train":[0,0.1],"eval":[0.99,1]})"}),
                   {{1, 2, 1, 1, true},
                    {2, 1, 1, 1, false},
                    {2, 1, 2, 1, true},
                    {1, 2, 2, 1, true},
                    {1, 1, 4, 1, true},
                    {2, 2, 2, 1, true}}};
const Shrunk kMoe{"text/moe.json",
                  small({"model.base.num_experts=4", "model.base.moe_intermediate_size=32"}),
                  {{1, 2, 1, 1, false},
                   {1, 1, 2, 1, true},
                   {2, 2, 1, 1, false},
                   {1, 2, 1, 2, true},
                   {1, 2, 2, 4, true},
                   {2, 2, 2, 2, true}}};

std::vector<Json> train(const Shrunk& shrunk, const TempDir& folder, const std::string& name,
                        const Layout& layout) {
  const int ranks = layout.replicate * layout.shard * layout.sequence;
  std::vector<std::string> arguments{
      "train", source_dir() + "/recipes/" + shrunk.recipe, "output=" + (folder / name).string(),
      test::layout(layout.replicate, layout.shard, layout.sequence, layout.expert)};
  arguments.insert(arguments.end(), shrunk.overrides.begin(), shrunk.overrides.end());
  if (!layout.mpirun) {
    arguments.push_back("--ranks");
    arguments.push_back(std::to_string(ranks));
  }
  const auto finished = run_veomni(arguments, layout.mpirun ? ranks : 0);
  INFO(finished.err);
  REQUIRE(finished.code == 0);
  return step_lines(folder / name);
}

}  // namespace

TEST_CASE("layouts: losses of 20 steps are one rank's, by mpirun and by --ranks", "[runs][ranks]") {
  const auto& shrunk = *GENERATE(&kOmni, &kMoe);
  const TempDir folder;
  const auto one = train(shrunk, folder, "one", {1, 1, 1, 1, false});
  REQUIRE(one.size() == 20);
  for (const auto& layout : shrunk.layouts) {
    const auto name =
        fmt::format("{}x{}x{}x{}", layout.replicate, layout.shard, layout.sequence, layout.expert);
    INFO(shrunk.recipe << " " << name);
    const auto many = train(shrunk, folder, name, layout);
    REQUIRE(many.size() == one.size());
    for (size_t s = 0; s < one.size(); ++s) {
      INFO("step " << s + 1);
      CHECK(many[s]["tokens"] == one[s]["tokens"]);
      CHECK(many[s]["loss"].get<double>() ==
            Approx(one[s]["loss"].get<double>())
                .epsilon(layout.sequence * layout.expert == 1 ? 1e-6 : 1e-5));
    }
  }
}

TEST_CASE("layouts: a run of many ranks is evaluated and writes text on one", "[runs][ranks]") {
  const TempDir folder;
  train(kMoe, folder, "many", {1, 2, 2, 1, false});
  for (const char* verb : {"eval", "generate"}) {
    std::vector<std::string> arguments{verb, (folder / "many").string()};
    if (arguments[0] == "generate")
      arguments.insert(arguments.end(), {"--prompt", "A", "--max-new-tokens", "3"});
    const auto finished = run_veomni(arguments, 0);
    INFO(finished.err);
    CHECK(finished.code == 0);
  }
}
