// Which rank belongs to which group, against the definition written out; and sizes that do not fit.
#include "parallel/plan/mesh_shape.h"

#include <catch2/catch.hpp>
#include <map>
#include <vector>

#include "core/error.h"

using namespace veomni;

TEST_CASE("mesh: ranks are numbered replicate × shard × sequence, outermost first", "[plan]") {
  const auto shape = MeshShape{.replicate = 2, .shard = 2, .sequence = 3, .expert = 2}.resolve(12);
  int rank = 0;
  for (int r = 0; r < 2; ++r)
    for (int d = 0; d < 2; ++d)
      for (int s = 0; s < 3; ++s, ++rank) {
        const auto place = shape.place(rank);
        CHECK(place.replicate == r);
        CHECK(place.shard == d);
        CHECK(place.sequence == s);
        CHECK(place.copy == d * 3 + s);
        // The same six ranks as expert_shard 3 × expert 2, expert innermost.
        CHECK(place.expert == (d * 3 + s) % 2);
        CHECK(place.expert_shard == (d * 3 + s) / 2);
      }
}

TEST_CASE("mesh: every shape's groups have their sizes", "[plan]") {
  for (const int replicate : {1, 2, 4})
    for (const int shard : {1, 2, 4})
      for (const int sequence : {1, 2, 4})
        for (const int expert : {1, 2, 4}) {
          if ((shard * sequence) % expert != 0) continue;
          const int world = replicate * shard * sequence;
          const auto shape = MeshShape{replicate, 0, sequence, expert}.resolve(world);
          CHECK(shape.shard == shard);
          std::map<std::pair<int, int>, int> experts, lanes;
          for (int rank = 0; rank < world; ++rank) {
            const auto place = shape.place(rank);
            ++experts[{place.replicate, place.expert_shard}];
            ++lanes[{place.sequence, 0}];
          }
          for (const auto& [group, size] : experts) CHECK(size == expert);
          for (const auto& [group, size] : lanes) CHECK(size == replicate * shard);
        }
}

TEST_CASE("mesh: sizes that do not fill the world are named, with what would", "[plan]") {
  const auto error = [](MeshShape shape, int world) {
    try {
      shape.resolve(world);
    } catch (const ConfigError& caught) {
      return std::string(caught.what());
    }
    return std::string("accepted");
  };
  CHECK(error({.replicate = 1, .shard = 2}, 8) ==
        "parallel: replicate 1 × shard 2 is 2 ranks, but the world has 8; shard 8 would fit");
  CHECK(error({.replicate = 1, .shard = 2, .sequence = 2}, 8) ==
        "parallel: replicate 1 × shard 2 × sequence 2 is 4 ranks, but the world has 8; shard 4 "
        "would fit");
  CHECK(error({.replicate = 1, .shard = 2, .sequence = 3}, 8) ==
        "parallel: replicate 1 × shard 2 × sequence 3 is 6 ranks, but the world has 8; with "
        "replicate 1, "
        "sequence can be 1, 2, 4, 8");
  CHECK(error({.replicate = 3}, 8) ==
        "parallel.replicate: 3 must divide the world of 8 ranks; it can be 1, 2, 4, 8");
  CHECK(error({.replicate = 2, .sequence = 3}, 8) ==
        "parallel.sequence: 3 must divide the 4 ranks that replicate 2 leaves; it can be 1, 2, 4");
  CHECK(error({.shard = 2, .sequence = 2, .expert = 3}, 4) ==
        "parallel.expert: 3 must divide shard × sequence = 4; it can be 1, 2, 4");
  CHECK(error({.replicate = 0}, 8) == "parallel.replicate: 0; must be 1 or more");
  CHECK(error({.sequence = 0}, 8) == "parallel.sequence: 0; must be 1 or more");
}
