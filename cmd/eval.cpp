// veomni eval RECIPE [key=value…]: the metrics of a checkpoint, or of model.from, on every source's held-back part.
#include <CLI/CLI.hpp>
#include <memory>

#include "cmd/compute.h"
#include "cmd/verbs.h"

namespace veomni {

void add_eval(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("eval", "evaluate a model on the held-back samples");
  auto arguments = std::make_shared<ComputeArguments>();
  auto checkpoint = std::make_shared<std::string>("auto");
  auto per_token = std::make_shared<std::string>();
  add_compute_arguments(*verb, *arguments);
  add_ranks_option(*verb, *arguments);
  verb->add_option("--checkpoint", *checkpoint,
                   "auto (the newest; where there is none, the weights of model.from), a step, or "
                   "a directory")
      ->capture_default_str();
  verb->add_option("--per-token", *per_token,
                   "write the loss of every learned token to this file: one JSON line a sample");
  verb->callback([=, &action] {
    action = [=] {
      return compute("eval", *arguments, {{"checkpoint", *checkpoint}, {"per-token", *per_token}});
    };
  });
}

}  // namespace veomni
