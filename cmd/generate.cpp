// veomni generate MODEL --prompt TEXT | --tokens 1,2,3 | --prompts FILE | --messages FILE: continues texts with a model.
#include <CLI/CLI.hpp>
#include <memory>

#include "cmd/compute.h"
#include "cmd/verbs.h"
#include "core/error.h"
#include "core/generate/prompts.h"

namespace veomni {
namespace {

struct GenerateOptions {
  std::string checkpoint = "auto", prompts_file, messages_file;
  std::vector<std::string> prompts, tokens, stop, stop_ids;
  int64_t max_new_tokens = 256, top_k = 0, seed = 1, batch_size = 32;
  double temperature = 1, top_p = 1, min_p = 0, repetition_penalty = 1;
  bool ignore_eos = false, ignore_generation_config = false;
};

void add_input_options(CLI::App& verb, GenerateOptions& options) {
  const auto one_each = [](CLI::Option* option) { return option->allow_extra_args(false); };
  one_each(verb.add_option("--prompt", options.prompts, "text to continue; may be repeated"));
  one_each(verb.add_option("--tokens", options.tokens,
                           "ids to continue, such as 1,2,3; may be repeated"));
  verb.add_option("--prompts", options.prompts_file,
                  "file of prompts, one text a line; FILE.jsonl: texts, lists of ids, or objects "
                  "with \"prompt\" or \"input_ids\"");
  verb.add_option(
      "--messages", options.messages_file,
      "file of a conversation to answer, by the model's chat template: a list of messages, or "
      "an object with \"messages\" and \"tools\"; FILE.jsonl: one a line");
  verb.add_option("--checkpoint", options.checkpoint,
                  "of a run: auto (the newest), a step, or a directory")
      ->capture_default_str();
  one_each(verb.add_option("--stop", options.stop, "a text ends before this; may be repeated"));
  one_each(verb.add_option("--stop-token-ids", options.stop_ids,
                           "a text ends with one of these ids, such as 1,2, or with the model's "
                           "eos_token_id"));
  verb.add_flag("--ignore-eos", options.ignore_eos, "the model's eos_token_id ends no text");
  verb.add_flag("--ignore-generation-config", options.ignore_generation_config,
                "defaults are not read from the model's generation_config.json");
}

/// Options whose default is the model's: its generation_config.json's, where it has one.
void add_sampling_options(CLI::App& verb, GenerateOptions& options) {
  verb.add_option("--max-new-tokens", options.max_new_tokens, "tokens to write, at most (256)")
      ->check(CLI::Range(1, 1 << 30));
  verb.add_option("--temperature", options.temperature,
                  "0: always the likeliest token (model directories: 0, runs: 1)")
      ->check(CLI::Range(0.0, 1e9));
  verb.add_option("--top-k", options.top_k, "choose among the k likeliest tokens (0: all)")
      ->check(CLI::Range(0, 1 << 30));
  verb.add_option("--top-p", options.top_p,
                  "choose among the likeliest tokens that have more than p together (1: all)")
      ->check(CLI::Range(0.0, 1.0));
  verb.add_option("--min-p", options.min_p,
                  "choose among tokens at least p times as likely as the likeliest (0: all)")
      ->check(CLI::Range(0.0, 1.0));
  verb.add_option("--repetition-penalty", options.repetition_penalty,
                  "above 1: tokens of the text so far become less likely (1)")
      ->check(CLI::Range(1e-9, 1e9));
  verb.add_option("--seed", options.seed,
                  "decides the random choices; a text depends on its prompt and the seed alone")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--batch-size", options.batch_size, "texts written side by side")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 16));
}

/// What cannot be said in a request, or says nothing.
void check_inputs(const GenerateOptions& options) {
  require<ConfigError>(!options.prompts.empty() + !options.tokens.empty() +
                               !options.prompts_file.empty() + !options.messages_file.empty() ==
                           1,
                       "generate: give one of --prompt, --tokens, --prompts and --messages, to say "
                       "what to continue");
  for (const auto& text : options.prompts) check_utf8(text, "--prompt");
  for (const auto& text : options.stop) {
    check_utf8(text, "--stop");
    require<ConfigError>(!text.empty(), "--stop: the text is empty; give at least one character");
  }
}

/// What the user has said, by the names of the flags; the rest is the model's to say.
Json given_options(const CLI::App& verb, const GenerateOptions& options) {
  check_inputs(options);
  Json json = {{"prompt", options.prompts},
               {"tokens", options.tokens},
               {"checkpoint", options.checkpoint},
               {"seed", options.seed},
               {"batch-size", options.batch_size},
               {"stop", options.stop},
               {"stop-token-ids", options.stop_ids},
               {"ignore-eos", options.ignore_eos},
               {"ignore-generation-config", options.ignore_generation_config}};
  const auto put = [&](const char* name, const Json& value) {
    if (verb.count(std::string("--") + name) > 0) json[name] = value;
  };
  put("prompts", options.prompts_file);
  put("messages", options.messages_file);
  put("max-new-tokens", options.max_new_tokens);
  put("temperature", options.temperature);
  put("top-k", options.top_k);
  put("top-p", options.top_p);
  put("min-p", options.min_p);
  put("repetition-penalty", options.repetition_penalty);
  return json;
}

}  // namespace

void add_generate(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("generate", "continue texts with a model");
  auto arguments = std::make_shared<ComputeArguments>();
  auto options = std::make_shared<GenerateOptions>();
  verb->add_option("MODEL", arguments->recipe.recipe,
                   "model directory (config.json, safetensors, tokenizer), run, checkpoint, or the "
                   "recipe of a run")
      ->required();
  verb->add_option("KEY=VALUE", arguments->recipe.overrides,
                   "replaces a key of the model's recipe, for example train.precision=bf16");
  verb->add_flag("--json", arguments->json,
                 "one JSON object a prompt: prompt_ids, ids, text, finish_reason (stop, length)");
  add_ranks_option(*verb, *arguments);
  add_input_options(*verb, *options);
  add_sampling_options(*verb, *options);
  verb->callback([=, &action] {
    action = [=] { return start_engine("generate", *arguments, given_options(*verb, *options)); };
  });
}

}  // namespace veomni
