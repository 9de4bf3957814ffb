// Encoder work over processes of MPI: N ranks equal one rank where one has no images.
#include <catch2/catch.hpp>

#include "runs/runs.h"
#include "support/temp_dir.h"
#include "support/tiny_recipes.h"

using namespace veomni;
using namespace veomni::test;

TEST_CASE("balance: ranks of mpirun encode one another's images, and losses are one rank's",
          "[runs][ranks]") {
  const TempDir folder;
  const auto recipe = write_uneven_recipe(folder.path());
  const auto train = [&](const std::string& name, const std::string& layout, int ranks) {
    const auto finished =
        run_veomni({"train", recipe, "output=" + (folder / name).string(), layout}, ranks);
    INFO(finished.err);
    REQUIRE(finished.code == 0);
    return step_lines(folder / name);
  };
  const auto one = train("one", layout(1, 1), 0);
  for (const int sequence : {1, 2}) {
    INFO("sequence " << sequence);
    const auto many =
        train("sequence" + std::to_string(sequence), layout(1, 2, sequence), 2 * sequence);
    REQUIRE(many.size() == one.size());
    bool uneven = false;
    for (size_t s = 0; s < one.size(); ++s) {
      INFO("step " << s + 1);
      CHECK(many[s]["loss"].get<double>() == Approx(one[s]["loss"].get<double>()).epsilon(1e-6));
      const auto photo = many[s]["encoder_imbalance"].value("photo", Json());
      uneven = uneven || (!photo.is_null() && photo["before"].get<double>() > 1.5);
    }
    CHECK(uneven);
  }
}
