#include "cmd/engine/trained.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "cmd/engine/start_weights.h"
#include "core/error.h"
#include "core/recipe/checkpoint_recipe.h"
#include "core/train/snapshot.h"
#include "modalities/import.h"

namespace veomni {
namespace fs = std::filesystem;

namespace {

/// A trained model is read on any number of ranks, whatever it was trained on: only a layout asked for now binds.
Recipe with_free_layout(Recipe recipe, const std::vector<std::string>& overrides) {
  const auto lays_out = [](const std::string& text) { return text.starts_with("parallel"); };
  if (std::none_of(overrides.begin(), overrides.end(), lays_out)) {
    const ParallelConfig free;
    recipe.parallel.replicate = free.replicate;
    recipe.parallel.shard = free.shard;
    recipe.parallel.sequence = free.sequence;
    recipe.parallel.expert = free.expert;
  }
  return recipe;
}

}  // namespace

Trained find_trained(const std::string& target, const std::vector<std::string>& overrides,
                     const std::string& which) {
  const fs::path path = target;
  if (fs::is_directory(path)) {
    const auto found = is_checkpoint(path.string()) ? std::optional(path)
                                                    : find_checkpoint(path, which, "--checkpoint");
    require<ConfigError>(found.has_value(),
                         "{}: holds neither a config.json nor a complete checkpoint; give a model "
                         "directory, a trained run, a checkpoint or a recipe",
                         target);
    Checkpoint checkpoint(*found);
    return {with_free_layout(recipe_of(checkpoint, overrides), overrides), checkpoint};
  }
  auto recipe = with_free_layout(read_recipe(target, overrides), overrides);
  const auto found = find_checkpoint(recipe.output, which, "--checkpoint");
  if (!found && starts_from_directory(recipe)) return {std::move(recipe), std::nullopt};
  require<ConfigError>(found.has_value(),
                       "{}: has no complete checkpoint; train first, or start from a model with "
                       "model.from",
                       recipe.output);
  return {std::move(recipe), Checkpoint(*found)};
}

namespace {

/// The weights of model.from as they are; parts that the directory does not have keep their first values.
void load_imported(Session& session, const Recipe& recipe) {
  build_from_directory(session, recipe);
  if (session.rank() != 0) return;
  const bool parts = !recipe.encoders.empty() || !recipe.heads.empty();
  std::fprintf(stderr, "%s has no checkpoint: the weights are those of %s%s\n",
               recipe.output.c_str(), recipe.from.c_str(),
               parts ? "; encoders and heads are untrained" : "");
}

}  // namespace

int64_t load_trained(Session& session, const Request& request) {
  std::optional<Trained> found;
  session.together([&] {
    found.emplace(find_trained(request.target, request.overrides,
                               request.options.value("checkpoint", "auto")));
  });
  if (!found->checkpoint) {
    load_imported(session, found->recipe);
    return 0;
  }
  const auto& state = found->checkpoint->state();
  session.build(found->recipe, state.at("data"));
  session.together([&] { load_snapshot(*found->checkpoint, session.model(), nullptr); });
  return state.at("step").get<int64_t>();
}

}  // namespace veomni
