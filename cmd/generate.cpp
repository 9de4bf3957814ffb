// veomni generate RECIPE --prompt TEXT: continues a text with a checkpoint's model.
#include <CLI/CLI.hpp>
#include <memory>

#include "cmd/compute.h"
#include "cmd/verbs.h"

namespace veomni {

namespace {
struct GenerateOptions {
  std::string checkpoint = "auto", prompt;
  int64_t tokens = 256, top_k = 0, seed = 1;
  double temperature = 1.0;
};
}  // namespace

void add_generate(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("generate", "write text with a checkpoint's model");
  auto arguments = std::make_shared<ComputeArguments>();
  auto options = std::make_shared<GenerateOptions>();
  add_compute_arguments(*verb, *arguments);
  verb->add_option("--checkpoint", options->checkpoint, "auto (the newest), a step, or a directory")
      ->capture_default_str();
  verb->add_option("--prompt", options->prompt, "text to continue");
  verb->add_option("--tokens", options->tokens, "tokens to write")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  verb->add_option("--temperature", options->temperature, "0: always the likeliest token")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
  verb->add_option("--top-k", options->top_k, "choose among the k likeliest tokens; 0: all")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 24));
  verb->add_option("--seed", options->seed, "decides the random choices")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  verb->callback([=, &action] {
    action = [=] {
      return compute("generate", *arguments,
                     {{"checkpoint", options->checkpoint},
                      {"prompt", options->prompt},
                      {"tokens", options->tokens},
                      {"temperature", options->temperature},
                      {"top_k", options->top_k},
                      {"seed", options->seed}});
    };
  });
}

}  // namespace veomni
