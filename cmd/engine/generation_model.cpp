#include "cmd/engine/generation_model.h"

#include <filesystem>
#include <optional>

#include "cmd/engine/trained.h"
#include "core/data/tokenizer.h"
#include "core/error.h"
#include "core/recipe/directory_recipe.h"
#include "core/tokenizer/file_tokenizer.h"
#include "core/train/generate.h"
#include "core/train/snapshot.h"
#include "modalities/import.h"

namespace veomni {
namespace fs = std::filesystem;
namespace {

bool holds_tokenizer(const fs::path& directory) {
  for (const char* name : {"tokenizer.json", "tokenizer.json.gz", "tokenizer.model"})
    if (fs::exists(directory / name)) return true;
  return false;
}

GenerationModel open_directory(Session& session, const Request& request, bool ignore_file) {
  GenerationModel model;
  Recipe recipe;
  session.together([&] {
    require<ConfigError>(
        request.options.value("checkpoint", "auto") == "auto",
        "--checkpoint: {} is a model directory and has no checkpoints; leave it out",
        request.target);
    recipe = recipe_of_directory(request.target, request.overrides);
    model.defaults = read_generation_defaults(request.target, ignore_file);
    if (!holds_tokenizer(request.target)) return;
    model.tokenizer = std::make_unique<FileTokenizer>(request.target);
    model.tokenizer_path = request.target;
  });
  model.special_tokens = true;
  model.vocab_size = recipe.base.vocab_size;
  session.build_model_alone(recipe, model.vocab_size);
  session.together([&] { import_weights(session.model().shards(), session.recipe()); });
  return model;
}

/// The tokenizer as the checkpoint stores it, or null for models of ids.
std::unique_ptr<Tokenizer> restore_text(const Recipe& recipe,
                                        const std::optional<Checkpoint>& checkpoint) {
  if (!checkpoint)
    return is_tokenizer_file(recipe.tokenizer) ? std::make_unique<FileTokenizer>(recipe.tokenizer)
                                               : nullptr;
  const Json& state = checkpoint->state().at("data");
  const auto saved = state.find("tokenizer");
  if (recipe.tokenizer.empty() || saved == state.end() || !saved->is_object()) return nullptr;
  return restore_tokenizer(*saved, recipe.tokenizer);
}

GenerationDefaults defaults_of_run(const Recipe& recipe, bool ignore_file) {
  GenerationDefaults defaults;
  if (!recipe.from.empty() && fs::exists(fs::path(recipe.from) / "config.json"))
    defaults = read_generation_defaults(recipe.from, ignore_file);
  defaults.settings.context = std::max(defaults.settings.context, text_context(recipe));
  defaults.settings.rolls = true;
  return defaults;
}

GenerationModel open_trained(Session& session, const Request& request, bool ignore_file) {
  GenerationModel model;
  std::optional<Trained> found;
  session.together([&] {
    found.emplace(find_trained(request.target, request.overrides,
                               request.options.value("checkpoint", "auto")));
    const Recipe& recipe = found->recipe;
    require<ConfigError>(!recipe.decoders.empty(),
                         "{}: has no text decoder, so it generates no text; give a run of a recipe "
                         "with model.decoders.text",
                         request.target);
    model.tokenizer = restore_text(recipe, found->checkpoint);
    model.defaults = defaults_of_run(recipe, ignore_file);
    if (model.tokenizer && is_tokenizer_file(recipe.tokenizer))
      model.tokenizer_path = recipe.tokenizer;
  });
  model.special_tokens = true;  // samples were trained with them
  model.vocab_size = found->recipe.base.vocab_size;
  if (model.tokenizer) {
    const int64_t known = model.tokenizer->vocab_size();
    model.defaults.settings.vocab_size = known;  // other ids were never trained
    if (model.vocab_size == 0) model.vocab_size = known;
  }
  session.build_model_alone(found->recipe, model.vocab_size);
  session.together([&] {
    if (found->checkpoint)
      load_snapshot(*found->checkpoint, session.model(), nullptr);
    else  // a recipe that has not been trained yet
      import_weights(session.model().shards(), found->recipe);
  });
  return model;
}

}  // namespace

GenerationModel load_generation_model(Session& session, const Request& request) {
  const bool ignore_file = request.options.value("ignore-generation-config", false);
  return is_model_directory(request.target) ? open_directory(session, request, ignore_file)
                                            : open_trained(session, request, ignore_file);
}

}  // namespace veomni
