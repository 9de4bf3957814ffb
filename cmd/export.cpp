// veomni export RUN | CHECKPOINT DIRECTORY: a trained model as a Hugging Face directory.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cmd/verbs.h"
#include "core/error.h"
#include "core/recipe/checkpoint_recipe.h"
#include "modalities/export_spec.h"

namespace veomni {
namespace {

struct ExportOptions {
  std::string source, directory, which = "auto", dtype = "fp32";
  double shard_gigabytes = 5;
  bool json = false;
};

Checkpoint open_checkpoint(const ExportOptions& options) {
  if (is_checkpoint(options.source)) return Checkpoint(options.source);
  const auto found = find_checkpoint(options.source, options.which, "--checkpoint");
  require<ConfigError>(found.has_value(),
                       "{}: has no complete checkpoint; give a run or a checkpoint's directory",
                       options.source);
  return Checkpoint(*found);
}

int run_export(const ExportOptions& options) {
  const Checkpoint checkpoint = open_checkpoint(options);
  const Recipe recipe = recipe_of(checkpoint);
  const auto result =
      export_hugging_face(recipe, checkpoint,
                          {options.directory, options.dtype,
                           static_cast<int64_t>(options.shard_gigabytes * (int64_t{1} << 30))});
  if (options.json) {
    fmt::print("{}\n", Json{{"directory", options.directory},
                            {"step", checkpoint.step()},
                            {"tensors", result.tensors},
                            {"bytes", result.bytes},
                            {"files", result.files},
                            {"other_tensors", result.rest}}
                           .dump());
    return 0;
  }
  fmt::print("{}: step {}, {} tensors, {:.1f} MB in {} file{}\n", options.directory,
             checkpoint.step(), result.tensors, static_cast<double>(result.bytes) / 1e6,
             result.files, result.files == 1 ? "" : "s");
  fmt::print("veomni.safetensors: {} tensors of parts that transformers has no class for\n",
             result.rest);
  return 0;
}

}  // namespace

void add_export(CLI::App& app, Action& action) {
  CLI::App* verb =
      app.add_subcommand("export", "write a trained model as a Hugging Face directory");
  auto options = std::make_shared<ExportOptions>();
  verb->add_option("SOURCE", options->source,
                   "run directory (its newest checkpoint) or checkpoint directory")
      ->required();
  verb->add_option("DIRECTORY", options->directory, "the directory to make")->required();
  verb->add_option("--checkpoint", options->which,
                   "of a run: auto (the newest), a step, or a directory")
      ->capture_default_str();
  verb->add_option("--dtype", options->dtype, "of the weights: fp32, bf16 or fp16")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}))
      ->capture_default_str();
  verb->add_option("--shard-gigabytes", options->shard_gigabytes, "largest weight file")
      ->check(CLI::Range(1e-6, 1e6))
      ->capture_default_str();
  verb->add_flag("--json", options->json, "print JSON");
  verb->callback([=, &action] { action = [=] { return run_export(*options); }; });
}

}  // namespace veomni
