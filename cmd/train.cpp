// veomni train RECIPE [key=value…]: also starts the ranks when --ranks is given.
#include <CLI/CLI.hpp>
#include <memory>

#include "cmd/compute.h"
#include "cmd/verbs.h"

namespace veomni {

void add_train(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("train", "train the recipe's model");
  auto arguments = std::make_shared<ComputeArguments>();
  auto resume = std::make_shared<std::string>();
  add_compute_arguments(*verb, *arguments);
  add_ranks_option(*verb, *arguments);
  verb->add_option("--resume", *resume,
                   "continue from a checkpoint: auto (the newest, if any), a step, or a directory");
  auto overwrite = std::make_shared<bool>(false);
  verb->add_flag("--overwrite", *overwrite,
                 "remove what an earlier run left in the output and start anew");
  verb->callback([=, &action] {
    action = [=] {
      Json options = Json::object();
      if (!resume->empty()) options["resume"] = *resume;
      if (*overwrite) options["overwrite"] = true;
      return compute("train", *arguments, std::move(options));
    };
  });
}

}  // namespace veomni
