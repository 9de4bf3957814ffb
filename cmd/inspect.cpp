// veomni inspect RECIPE | RUN | CHECKPOINT: samples as the model sees them, or what a checkpoint
// holds. veomni inspect TOKENIZER --text TEXT: how a tokenizer cuts a text.
#include "core/data/inspect.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>

#include "cmd/verbs.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/safetensors.h"
#include "core/error.h"
#include "core/recipe/summary.h"
#include "core/tokenizer/file_tokenizer.h"

namespace veomni {

namespace {

namespace fs = std::filesystem;

struct InspectOptions {
  RecipeArguments recipe;
  std::optional<std::string> text;
  int samples = 3;
  bool json = false;
};

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t dim : shape) text += fmt::format("{}{}", text.empty() ? "" : " × ", dim);
  return text.empty() ? "scalar" : text;
}

Json describe_checkpoint(const Checkpoint& checkpoint) {
  Json tensors = Json::array();
  int64_t elements = 0;
  for (const std::string& name : checkpoint.names()) {
    const std::vector<int64_t> shape = checkpoint.shape(name);
    const int64_t count = count_elements(shape).value();  // the manifest has been checked
    tensors.push_back({{"name", name}, {"shape", shape}, {"elements", count}});
    elements += count;
  }
  Json description{{"checkpoint", checkpoint.directory().string()}};
  const Json& state = checkpoint.state();
  if (state.is_object() && state.contains("step")) description["step"] = state["step"];
  description["elements"] = elements;
  description["checksums"] = "ok";
  description["tensors"] = std::move(tensors);
  return description;
}

int inspect_checkpoint(const fs::path& directory, bool json) {
  const Checkpoint checkpoint(directory);
  checkpoint.verify();
  const Json description = describe_checkpoint(checkpoint);
  if (json) {
    fmt::print("{}\n", description.dump());
    return 0;
  }
  for (const Json& tensor : description["tensors"]) {
    fmt::print("{:>12}  {:<60} {}\n", tensor["elements"].get<int64_t>(),
               tensor["name"].get<std::string>(),
               shape_text(tensor["shape"].get<std::vector<int64_t>>()));
  }
  fmt::print(
      "{}: {}{} tensors, {} values, all checksums match\n", directory.string(),
      description.contains("step") ? fmt::format("step {}, ", description["step"].dump()) : "",
      description["tensors"].size(), short_count(description["elements"].get<int64_t>()));
  return 0;
}

/// The newest checkpoint of a run directory.
fs::path newest_checkpoint(const fs::path& run) {
  const fs::path checkpoints = run / "checkpoints";
  std::error_code error;
  const std::vector<int64_t> steps =
      fs::is_directory(checkpoints, error) ? list_checkpoints(checkpoints) : std::vector<int64_t>{};
  require<ConfigError>(
      !steps.empty(),
      "{}: neither a checkpoint nor a run with one; give a recipe file, a run, or a checkpoint",
      run.string());
  return checkpoints / checkpoint_name(steps.back());
}

int inspect_text(const InspectOptions& options) {
  require<ConfigError>(options.recipe.overrides.empty(),
                       "inspect: --text takes a tokenizer; key=value is for recipes");
  const FileTokenizer tokenizer(options.recipe.recipe);
  const std::vector<int64_t> ids = tokenizer.encode(*options.text);
  if (options.json) {
    Json tokens = Json::array();
    for (const int64_t id : ids) tokens.push_back(*tokenizer.token(id));
    const Json out{{"ids", ids}, {"tokens", tokens}, {"text", tokenizer.decode(ids)}};
    fmt::print("{}\n", out.dump(-1, ' ', false, Json::error_handler_t::replace));
    return 0;
  }
  for (const int64_t id : ids) fmt::print("{:>8}  {}\n", id, *tokenizer.token(id));
  fmt::print("{} tokens of {} bytes; the tokenizer has {} ids\n", ids.size(), options.text->size(),
             tokenizer.vocab_size());
  return 0;
}

int inspect(const InspectOptions& options) {
  if (options.text) return inspect_text(options);
  const fs::path path = options.recipe.recipe;
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    return inspect_data(read_recipe(path.string(), options.recipe.overrides),
                        {{"samples", options.samples}, {"json", options.json}});
  }
  require<ConfigError>(options.recipe.overrides.empty(),
                       "inspect: {} is a directory; key=value is for recipes", path.string());
  return inspect_checkpoint(is_checkpoint(path) ? path : newest_checkpoint(path), options.json);
}

}  // namespace

void add_inspect(CLI::App& app, Action& action) {
  CLI::App* verb =
      app.add_subcommand("inspect", "show a recipe's samples, or what a checkpoint holds");
  auto options = std::make_shared<InspectOptions>();
  add_recipe_arguments(*verb, options->recipe);
  verb->get_option("RECIPE")->description(
      "recipe file, checkpoint directory, run directory (its newest checkpoint), or with --text a "
      "tokenizer.json or tokenizer.model");
  verb->add_option("--text", options->text, "show the tokens of this text");
  verb->add_option("--samples", options->samples, "samples shown of each source")
      ->capture_default_str()
      ->check(CLI::Range(0, 10000));
  verb->add_flag("--json", options->json, "print JSON");
  verb->callback([=, &action] { action = [=] { return inspect(*options); }; });
}

}  // namespace veomni
