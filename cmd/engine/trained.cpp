#include "cmd/engine/trained.h"

#include <filesystem>
#include <optional>

#include "core/checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/recipe/checkpoint_recipe.h"
#include "core/train/snapshot.h"

namespace veomni {
namespace fs = std::filesystem;
namespace {

struct Found {
  Recipe recipe;
  Checkpoint checkpoint;
};

Found find_trained(const std::string& target, const std::vector<std::string>& overrides,
                   const std::string& which) {
  const fs::path path = target;
  if (fs::is_directory(path)) {
    Checkpoint checkpoint(path);
    return {recipe_of(checkpoint, overrides), checkpoint};
  }
  auto recipe = read_recipe(target, overrides);
  const auto found = find_checkpoint(recipe.output, which, "--checkpoint");
  require<ConfigError>(found.has_value(), "{}: has no complete checkpoint; train first",
                       recipe.output);
  return {std::move(recipe), Checkpoint(*found)};
}

}  // namespace

int64_t load_trained(Session& session, const Request& request) {
  std::optional<Found> found;
  session.together([&] {
    found.emplace(find_trained(request.target, request.overrides,
                               request.options.value("checkpoint", "auto")));
  });
  const auto& state = found->checkpoint.state();
  session.build(found->recipe, state.at("data"));
  session.together([&] { load_snapshot(found->checkpoint, session.model(), nullptr); });
  return state.at("step").get<int64_t>();
}

}  // namespace veomni
