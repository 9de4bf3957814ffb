#include "cmd/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "core/error.h"
#include "core/suggest.h"
#include "core/version.h"

namespace veomni {

namespace {

/// Verbs of the design that a later version brings.
constexpr const char* kLaterVerbs[] = {"plan", "profile", "distil", "distill"};

std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

/// A wrong verb is told before CLI11 takes it for a stray argument.
void check_verb(const CLI::App& app, const std::string& verb) {
  if (verb.empty() || verb[0] == '-') return;
  for (const char* later : kLaterVerbs) {
    require<ConfigError>(verb != later,
                         "veomni {}: not available in this version; see 'veomni --help'", verb);
  }
  std::vector<std::string> names;
  for (const CLI::App* known : verbs_of(app)) names.push_back(known->get_name());
  if (std::find(names.begin(), names.end(), verb) != names.end()) return;
  throw ConfigError(fmt::format("veomni: unknown verb '{}'{}", verb, did_you_mean(verb, names)));
}

/// `; did you mean '--resume'?` when the arguments hold an unknown option.
std::string option_hint(const CLI::App& verb, int argc, char** argv) {
  std::vector<std::string> known;
  for (const CLI::Option* option : verb.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  for (int i = 2; i < argc; ++i) {
    const std::string word = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
    if (word.rfind("--", 0) != 0 || std::find(known.begin(), known.end(), word) != known.end())
      continue;
    const std::string near = closest(word, known);
    return near.empty() ? "" : fmt::format("; did you mean '{}'?", near);
  }
  return "";
}

[[noreturn]] void fail_parse(const CLI::App& app, const CLI::ParseError& error, int argc,
                             char** argv) {
  std::string message = error.what();
  std::replace(message.begin(), message.end(), '\n', ' ');
  while (!message.empty() && message.back() == ' ') message.pop_back();
  for (const CLI::App* verb : verbs_of(app)) {
    if (argc < 2 || verb->get_name() != argv[1]) continue;
    const std::string hint = option_hint(*verb, argc, argv);
    throw ConfigError(
        fmt::format("veomni {}: {}{}", argv[1], message,
                    hint.empty() ? fmt::format("; see 'veomni {} --help'", argv[1]) : hint));
  }
  throw ConfigError(fmt::format("veomni: {}; see 'veomni --help'", message));
}

}  // namespace

void add_verbs(CLI::App& app, Action& action) {
  app.require_subcommand(1);
  app.set_version_flag("--version", fmt::format("veomni {}", version()), "print the version");
  add_train(app, action);
  add_eval(app, action);
  add_generate(app, action);
  add_export(app, action);
  add_validate(app, action);
  add_schema(app, action);
  add_inspect(app, action);
  add_new(app, action);
  add_doctor(app, action);
  add_completion(app, action);
}

Action read_command_line(CLI::App& app, int argc, char** argv) {
  auto action = std::make_shared<Action>();
  add_verbs(app, *action);
  if (argc < 2) throw ConfigError("veomni: no verb; see 'veomni --help'");
  check_verb(app, argv[1]);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return [&app, text = asked] { return app.exit(text); };
  } catch (const CLI::ParseError& error) {
    fail_parse(app, error, argc, argv);
  }
  return [action] { return (*action)(); };
}

}  // namespace veomni
