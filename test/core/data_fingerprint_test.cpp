#include <filesystem>

#include "core/data/fingerprint.h"
#include "core/recipe/recipe.h"
#include "test/core/data_test_tools.h"

namespace veomni::data_test {
namespace {

Json fingerprint(const std::string& path) {
  Recipe recipe;
  recipe.sources.emplace_back();
  recipe.sources[0].name = "rows";
  recipe.sources[0].keys = {{"path", path}};
  return data_fingerprint(recipe)["rows"]["path"];
}

}  // namespace

TEST_CASE("fingerprint: of a file it is its bytes, wherever it lies", "[core][data]") {
  const TempDir dir;
  const Json one = fingerprint(dir.write("a/x.txt", "hello"));
  CHECK(one.size() == 1);
  CHECK(one[0]["bytes"] == 5);
  CHECK(fingerprint(dir.write("b/y.txt", "hello")) == one);
  CHECK(fingerprint(dir.write("b/z.txt", "hallo")) != one);
  CHECK(fingerprint(dir.write("b/empty", ""))[0]["bytes"] == 0);
  CHECK_THROWS_AS(fingerprint(dir.path("none")), ConfigError);
}

TEST_CASE("fingerprint: of a folder it is the names and sizes below it", "[core][data]") {
  const TempDir dir;
  for (const char* file : {"a/cat/1.png", "b/cat/1.png"}) dir.write(file, "12345");
  for (const char* file : {"a/dog/1.png", "b/dog/1.png"}) dir.write(file, "123");
  CHECK(fingerprint(dir.path("a")) == fingerprint(dir.path("b")));
  std::filesystem::rename(dir.path("b/dog/1.png"), dir.path("b/dog/2.png"));
  CHECK(fingerprint(dir.path("a")) != fingerprint(dir.path("b")));
}

}  // namespace veomni::data_test
