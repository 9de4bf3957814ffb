// A run goes on after its folder or its data have moved, and is refused on other data.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "runs/runs.h"
#include "support/tiny_recipes.h"

using namespace veomni;
using namespace veomni::test;
namespace fs = std::filesystem;

namespace {

Finished resume(const std::string& recipe, int steps, const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments{"train",
                                     recipe,
                                     "--resume",
                                     "auto",
                                     fmt::format("train.steps={}", steps),
                                     R"(train.schedule={"type":"constant"})"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_veomni(arguments);
}

}  // namespace

TEST_CASE("resume: moved data and a moved run go on, other data are refused", "[runs][resume]") {
  const TempDir folder;
  fs::create_directories(folder / "before");
  REQUIRE(resume(write_omni_recipe(folder / "before"), 4).code == 0);
  const auto run = folder.path() / "before" / "run";
  fs::rename(run, folder / "elsewhere");
  CHECK(resume((folder / "elsewhere").string(), 5).code == 0);
  REQUIRE(step_lines(folder / "elsewhere").size() == 5);
  CHECK_FALSE(fs::exists(run));

  fs::rename(folder / "elsewhere", run);
  fs::rename(folder / "before", folder / "after");
  const auto recipe = (folder.path() / "after" / "omni.json").string();
  const auto moved = resume(recipe, 6);
  INFO(moved.err);
  CHECK(moved.code == 0);
  CHECK_THAT(moved.out, Catch::Contains("resumed from"));

  const auto images = folder / "images.idx", labels = folder / "labels.idx";
  fs::rename(folder.path() / "after" / "images.idx", images);
  fs::rename(folder.path() / "after" / "labels.idx", labels);
  const std::vector<std::string> paths{"data.sources.1.path=" + images.string(),
                                       "data.sources.1.labels=" + labels.string()};
  CHECK(resume(recipe, 8, paths).code == 0);
  REQUIRE(step_lines(folder.path() / "after" / "run").size() == 8);

  std::fstream(labels, std::ios::in | std::ios::out).seekp(20).put('\1').put('\0').put('\2');
  const auto other = resume(recipe, 10, paths);
  CHECK(other.code == 2);
  CHECK_THAT(other.err, Catch::Contains("the files of data.sources.pictures hold other data"));
  CHECK(std::count(other.err.begin(), other.err.end(), '\n') == 1);
}
