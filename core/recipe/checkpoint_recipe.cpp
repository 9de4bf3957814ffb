#include "core/recipe/checkpoint_recipe.h"

#include "core/checkpoint/manifest.h"

namespace veomni {

Recipe recipe_of(const Checkpoint& checkpoint, const std::vector<std::string>& overrides) {
  return parse_recipe(checkpoint.state().at("recipe").dump(2),
                      (checkpoint.directory() / kManifestName).string(), overrides);
}

}  // namespace veomni
