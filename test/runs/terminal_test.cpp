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
  const auto arguments_of = [&](const std::string& name, bool option) {
    auto arguments = train(recipe, (folder / name).string());
    if (option) arguments.insert(arguments.end(), {"--ranks", "2"});
    return arguments;
  };
  struct Start {
    int ranks;  ///< of mpirun; 0: none
    bool option;
  };
  for (const auto& [ranks, option] : {Start{0, false}, Start{2, false}, Start{0, true}}) {
    INFO((option ? "--ranks 2" : fmt::format("{} ranks by mpirun", ranks)));
    const auto name = fmt::format("{}{}", ranks, option);
    const auto finished = run_veomni(arguments_of(name, option), ranks);
    INFO(finished.err);
    REQUIRE(finished.code == 0);
    CHECK(finished.out.find("step 3/3  loss ") != std::string::npos);
    CHECK(finished.out.find(kRedrawn) == std::string::npos);
    CHECK(finished.out.find('\r') == std::string::npos);

    const auto again = veomni_command(arguments_of("terminal" + name, option), ranks);
    const auto command = fmt::format("{}", fmt::join(again, " "));
    const auto shown = run_program(
        {"script", "--quiet", "--return", "--command", command, "/dev/null"}, rank_environment());
    INFO(shown.err << shown.out);
    REQUIRE(shown.code == 0);
    CHECK(shown.out.find(kRedrawn) != std::string::npos);
  }
}
