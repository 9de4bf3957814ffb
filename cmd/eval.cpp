// veomni eval RECIPE [key=value…]: the metrics of a checkpoint on every source's held-back part.
#include <CLI/CLI.hpp>
#include <memory>

#include "cmd/compute.h"
#include "cmd/verbs.h"

namespace veomni {

void add_eval(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("eval", "evaluate a checkpoint on the held-back samples");
  auto arguments = std::make_shared<ComputeArguments>();
  auto checkpoint = std::make_shared<std::string>("auto");
  add_compute_arguments(*verb, *arguments);
  add_ranks_option(*verb, *arguments);
  verb->add_option("--checkpoint", *checkpoint, "auto (the newest), a step, or a directory")
      ->capture_default_str();
  verb->callback([=, &action] {
    action = [=] { return compute("eval", *arguments, {{"checkpoint", *checkpoint}}); };
  });
}

}  // namespace veomni
