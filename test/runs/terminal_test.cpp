// What ranks of mpirun print: mpirun reads it on a terminal of its own and writes it where its own output goes.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "runs/runs.h"
#include "support/tiny_recipes.h"

using namespace veomni;
using namespace veomni::test;

namespace {

const std::string kRedrawn = "\x1b[K";

std::vector<std::string> train(const std::string& recipe, const std::string& output) {
  return {"train", recipe, "train.steps=3", "eval={}", "checkpoint={}", "output=" + output};
}

}  // namespace

TEST_CASE("progress: lines where mpirun's output is a file, redrawn where it is a terminal",
          "[runs][ranks]") {
  const TempDir folder;
  const auto recipe = write_moe_recipe(folder.path());
  for (const int ranks : {0, 2}) {
    INFO(ranks << " ranks by mpirun");
    const auto arguments = train(recipe, (folder / fmt::format("{}", ranks)).string());
    const auto finished = run_veomni(arguments, ranks);
    INFO(finished.err);
    REQUIRE(finished.code == 0);
    CHECK(finished.out.find("step 3/3  loss ") != std::string::npos);
    CHECK(finished.out.find(kRedrawn) == std::string::npos);
    CHECK(finished.out.find('\r') == std::string::npos);

    const auto again = train(recipe, (folder / fmt::format("terminal{}", ranks)).string());
    const auto command = fmt::format("{}", fmt::join(veomni_command(again, ranks), " "));
    const auto shown = run_program(
        {"script", "--quiet", "--return", "--command", command, "/dev/null"}, rank_environment());
    INFO(shown.err << shown.out);
    REQUIRE(shown.code == 0);
    CHECK(shown.out.find(kRedrawn) != std::string::npos);
  }
}
